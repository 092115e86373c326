"""Settings as oscar's guide has them; what the environment says: DATABASE_URL, EMAIL_PORT."""

import os
from urllib.parse import unquote, urlsplit

from oscar import INSTALLED_APPS as OSCAR_APPS
from oscar.defaults import *  # noqa: F403

_url = urlsplit(os.environ["DATABASE_URL"])
if _url.scheme == "sqlite":
    _database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": unquote(_url.path[1:]),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }
else:
    _database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.lstrip("/"),
        "HOST": _url.hostname,
        "PORT": _url.port,
        "USER": _url.username,
        "PASSWORD": unquote(_url.password or ""),
    }
DATABASES = {"default": _database | {"CONN_MAX_AGE": None, "ATOMIC_REQUESTS": True}}  # as oscar's sandbox has it

SECRET_KEY = "of a shop that is only measured"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = OSCAR_APPS
SITE_ID = 1


class _Unmigrated:
    """For every app: its tables are made as its models are now, which is quicker and leaves the same."""

    def __contains__(self, app: str) -> bool:
        return True

    def __getitem__(self, app: str) -> None:
        return None


MIGRATION_MODULES = _Unmigrated()
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "oscar.apps.basket.middleware.BasketMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"  # no row for each caller, as with tokens
ROOT_URLCONF = "bench.oscar_shop.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", int(os.environ["EMAIL_PORT"])
OSCAR_DEFAULT_CURRENCY = "USD"
OSCAR_SAVE_SENT_EMAILS_TO_DB = True  # oscar's default, and what the product keeps of a notification
OSCAR_FROM_EMAIL = "shop@example.com"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
STATIC_URL = "/static/"
MEDIA_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "media")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"log": {"class": "logging.StreamHandler"}},
    "root": {"level": "WARNING", "handlers": ["log"]},
}
