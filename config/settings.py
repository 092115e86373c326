"""Settings, all from the environment. docs/configuration.md lists them."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from config.contexts import CONTEXTS, PLATFORM, subscriptions
from eci.observability import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent


def flag(name: str, default: bool = False) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() in ("1", "true", "yes", "on")


DATA_DIR = Path(os.environ.get("ECI_DATA_DIR") or BASE_DIR / "var").absolute()
DATA_DIR.mkdir(parents=True, exist_ok=True)

# Django's own debug pages would answer API clients with HTML and keep every query in memory: never on.
DEBUG = False
ECI_DEBUG = flag("ECI_DEBUG")
ECI_OPEN = flag("ECI_OPEN")
if ECI_OPEN and not ECI_DEBUG:
    raise ImproperlyConfigured("ECI_OPEN lets everybody do everything: it needs ECI_DEBUG=1, for development only.")


def _secret_key() -> str:
    """From the environment, else made once and kept in the data folder, readable by its owner alone."""
    if given := os.environ.get("ECI_SECRET_KEY"):
        return given
    path = DATA_DIR / "secret_key"
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=DATA_DIR) as file:  # 0600; linked whole, so that nobody reads half
            file.write(secrets.token_urlsafe(50))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text()


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = os.environ.get("ECI_ALLOWED_HOSTS", "*" if ECI_DEBUG else "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("ECI_CSRF_TRUSTED_ORIGINS", "").split(",") if origin]

# -- contexts ---------------------------------------------------------------------------------------------------------
ECI_CONTEXTS = tuple(CONTEXTS)
ECI_SUBSCRIPTIONS = subscriptions()
ECI_SERVICES = dict.fromkeys(CONTEXTS, "local")
for entry in filter(None, os.environ.get("ECI_SERVICES", "").split(",")):
    name, _, place = entry.partition("=")
    if name not in CONTEXTS or place != "local":
        raise ImproperlyConfigured(f"ECI_SERVICES: '{entry}': so far every context runs as 'local'.")

# -- the shop ---------------------------------------------------------------------------------------------------------
ECI_CURRENCY = os.environ.get("ECI_CURRENCY", "USD")
ECI_TAX_RATE = Decimal(os.environ.get("ECI_TAX_RATE", "0.05"))
ECI_SHIPPING_FEE = Decimal(os.environ.get("ECI_SHIPPING_FEE", "10.00"))
ECI_RESERVATION_SECONDS = int(os.environ.get("ECI_RESERVATION_SECONDS", "900"))
ECI_FULFILMENT = os.environ.get("ECI_FULFILMENT", "automatic")
if ECI_FULFILMENT not in ("automatic", "warehouse"):
    raise ImproperlyConfigured("ECI_FULFILMENT is 'automatic' or 'warehouse'.")
ECI_GATEWAY_TIMEOUT = float(os.environ.get("ECI_GATEWAY_TIMEOUT", "2"))  # seconds
ECI_SANDBOX_LEDGER = Path(os.environ.get("ECI_SANDBOX_LEDGER") or DATA_DIR / "sandbox_gateway.sqlite3")

# -- databases --------------------------------------------------------------------------------------------------------
_SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8000;",
}


# At least the threads of a process (config/gunicorn.py, the worker): a request holds connections of several contexts,
# and must never wait for one that another request holds.
ECI_POOL_SIZE = int(os.environ.get("ECI_POOL_SIZE", "4"))


def _database(variable: str, name: str) -> dict[str, Any]:
    url = os.environ.get(variable) or f"sqlite:///{quote(str(DATA_DIR / name))}.sqlite3"
    config: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=None, conn_health_checks=True))
    if config["ENGINE"].endswith("sqlite3"):
        config["OPTIONS"] = dict(_SQLITE_OPTIONS)
        config["CONN_HEALTH_CHECKS"] = False
        return config
    config["OPTIONS"] = {"connect_timeout": 3, **config.get("OPTIONS", {})}
    if config["ENGINE"].endswith("mysql"):
        config["OPTIONS"] |= {
            "charset": "utf8mb4",
            "isolation_level": "read committed",
            "init_command": "SET time_zone = '+00:00'",
        }
    elif ECI_POOL_SIZE:
        config["CONN_MAX_AGE"] = 0  # connections go back to the pool, which keeps them
        config["OPTIONS"]["pool"] = {"min_size": 0, "max_size": ECI_POOL_SIZE, "timeout": 2}
    return config


DATABASES = {PLATFORM: _database("ECI_PLATFORM_DATABASE_URL", "platform")} | {
    name: _database(f"ECI_{name.upper()}_DATABASE_URL", name) for name in CONTEXTS
}
DATABASE_ROUTERS = ["eci.db.ContextRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Django -----------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "eci.apps.KernelConfig",  # before rest_framework, whose page it dresses
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "config.staff.apps.StaffConfig",
    *(f"contexts.{name}" for name in CONTEXTS),
]
MIDDLEWARE = [
    "eci.observability.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "eci.http.envelope.ErrorMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = ["eci.passwords.Argon2id", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
LOGGING = logging_config(os.environ.get("ECI_LOG_LEVEL", "INFO"))
SESSION_COOKIE_HTTPONLY = True
SILENCED_SYSTEM_CHECKS: list[str] = []

# -- API --------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["eci.auth.StaffSession", "eci.auth.OpenMode"],
    "DEFAULT_PERMISSION_CLASSES": ["eci.auth.RolesAllowed"],
    "DEFAULT_RENDERER_CLASSES": [
        "eci.http.envelope.EnvelopeRenderer",
        "eci.http.browsable.BrowsableRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["eci.http.parsers.JSONObjectParser"],
    "EXCEPTION_HANDLER": "eci.http.envelope.exception_handler",
    "DEFAULT_METADATA_CLASS": "eci.http.metadata.Metadata",
    "DEFAULT_SCHEMA_CLASS": "eci.http.schema.EnvelopeSchema",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ECI: E-commerce with Inventory",
    "DESCRIPTION": "Orders and stock that agree. Place order = Reserve, Pay, Ship, Notify.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "AUTHENTICATION_WHITELIST": ["eci.auth.StaffSession"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["eci.http.schema.only_v1"],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "OrderStatus": "contexts.orders.public.contracts.OrderStatus",
        "OrderPaymentStatus": "contexts.orders.public.contracts.OrderPaymentStatus",
        "ReservationStatus": "contexts.inventory.public.contracts.ReservationStatus",
        "AllocationState": "contexts.inventory.public.contracts.AllocationState",
        "PaymentStatus": "contexts.payments.public.contracts.PaymentStatus",
        "RefundStatus": "contexts.payments.public.contracts.RefundStatus",
        "ShipmentStatus": "contexts.shipping.public.contracts.ShipmentStatus",
        "NotificationStatus": "contexts.notifications.public.contracts.NotificationStatus",
    },
}

# -- mail and SMS -----------------------------------------------------------------------------------------------------
EMAIL_BACKEND = os.environ.get(
    "EMAIL_BACKEND",
    "django.core.mail.backends.smtp.EmailBackend"
    if os.environ.get("EMAIL_HOST")
    else "django.core.mail.backends.console.EmailBackend",
)
EMAIL_HOST = os.environ.get("EMAIL_HOST", "localhost")
EMAIL_PORT = int(os.environ.get("EMAIL_PORT", "25"))
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = flag("EMAIL_USE_TLS")
EMAIL_TIMEOUT = 5
EMAIL_FILE_PATH = os.environ.get("EMAIL_FILE_PATH") or str(DATA_DIR / "mail")
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL", "shop@example.com")
ECI_SMS_BACKEND = os.environ.get("ECI_SMS_BACKEND", "console")

# -- Celery -----------------------------------------------------------------------------------------------------------
ECI_REDIS_URL = os.environ.get("ECI_REDIS_URL", "")
