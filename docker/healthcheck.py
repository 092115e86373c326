"""Check that this container's web process answers, or whatever listens at the given port and path.

python docker/healthcheck.py [PORT PATH]
"""

import http.client
import os
import sys

port, path = sys.argv[1:] or (os.environ.get("PORT", "8000"), "/health/live")
connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=4)
connection.request("GET", path)
sys.exit(connection.getresponse().status != 200)
