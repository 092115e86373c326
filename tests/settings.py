"""Settings of the tests: the product's own, in open mode, on throw-away data."""

import os
import tempfile

os.environ.setdefault("ECI_DATA_DIR", tempfile.mkdtemp(prefix="eci-test-"))
os.environ["ECI_DEBUG"] = "1"
os.environ["ECI_OPEN"] = "1"
os.environ.setdefault("ECI_LOG_LEVEL", "ERROR")
os.environ["ECI_POOL_SIZE"] = "0"  # tests run more threads at once than a pool has connections

os.makedirs(os.path.join(os.environ["ECI_DATA_DIR"], "callers"), exist_ok=True)

from config.settings import *  # noqa: E402, F403

os.umask(0o022)  # tests make files for containers and servers, which run as somebody else
PASSWORD_HASHERS = ["tests.support.hashers.Quick"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ALLOWED_HOSTS = ["*"]
ECI_METRICS_KEPT = 0
ECI_GATEWAY_TIMEOUT = 0.02  # statements are made with it when the product is loaded
WHITENOISE_AUTOREFRESH = True  # each test has a client of its own, and each would list every static file

for _database in DATABASES.values():  # noqa: F405
    if _database["ENGINE"].endswith("sqlite3"):
        _database.setdefault("TEST", {})["NAME"] = ":memory:"

if ECI_REDIS_URL:  # noqa: F405 - tests run side by side, and must not clear each other's counters
    _worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ECI_REDIS_URL = f"{ECI_REDIS_URL.rpartition('/')[0]}/{32 + _worker}"  # noqa: F405
