"""Settings of the tests: the product's own, in open mode, on throw-away data."""

import os
import tempfile

os.environ.setdefault("ECI_DATA_DIR", tempfile.mkdtemp(prefix="eci-test-"))
os.environ["ECI_DEBUG"] = "1"
os.environ["ECI_OPEN"] = "1"
os.environ.setdefault("ECI_LOG_LEVEL", "ERROR")
os.environ["ECI_POOL_SIZE"] = "0"  # tests run more threads at once than a pool has connections

from config.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["eci.passwords.Argon2id"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ALLOWED_HOSTS = ["*"]
