"""Django's settings and ours, all from the environment. docs/configuration.md lists them."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from corsheaders.defaults import default_headers as cors_headers
from csp import constants as csp
from django.core.exceptions import ImproperlyConfigured

from config import fees, limits, private
from config.contexts import LOCAL, NOWHERE, PLATFORM, imports, places, service_name, subscriptions
from config.environment import (
    amount,
    choice,
    database,
    domains,
    flag,
    folder,
    fraction,
    mailboxes,
    networks,
    number,
    provider_url,
    scratch_server,
    secret,
    sender,
    server_url,
    staff_groups,
    strong,
    whole,
)
from eci.watch.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent


DATA_DIR = Path(os.environ.get("ECI_DATA_DIR") or BASE_DIR / "var").absolute()
private.begin(DATA_DIR)

# Django's own debug pages would answer API clients with HTML and keep every query in memory: never on.
DEBUG = False
ECI_DEBUG = flag("ECI_DEBUG")
ECI_OPEN = flag("ECI_OPEN")
if ECI_OPEN and not ECI_DEBUG:
    raise ImproperlyConfigured(
        "ECI_OPEN lets everybody do everything. It needs ECI_DEBUG=1 and is for development only."
    )


def _secret_key() -> str:
    """The key from the environment, else one that is generated once and kept in the data folder, for its owner only."""
    if given := secret("ECI_SECRET_KEY"):
        return given if ECI_DEBUG else strong("ECI_SECRET_KEY", given)
    path = DATA_DIR / "secret_key"
    if not path.exists() and sys.argv[1:2] == ["restore"]:  # which brings one, or is refused and leaves nothing
        return secrets.token_urlsafe(50)
    if not path.exists():
        if not os.access(DATA_DIR, os.W_OK | os.X_OK):
            raise ImproperlyConfigured(
                f"ECI_DATA_DIR: user {os.geteuid()} may not write to {DATA_DIR}. Make that user its owner."
            )
        with tempfile.NamedTemporaryFile(
            "w", dir=DATA_DIR
        ) as file:  # 0600; linked when complete, so nobody reads half of it
            file.write(secrets.token_urlsafe(50))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text()


SECRET_KEY = _secret_key()
# Keys that sign access tokens (eci/identity/tokens.py): a folder of key files, or one key in PEM.
ECI_KEYS_DIR = Path(os.environ.get("ECI_KEYS_DIR") or DATA_DIR / "keys")
ECI_TOKEN_KEY = secret("ECI_TOKEN_KEY")
ECI_TOKEN_RETIRED_KEYS = os.environ.get("ECI_TOKEN_RETIRED_KEYS", "")
ECI_TOKEN_ISSUER = os.environ.get("ECI_TOKEN_ISSUER", "eci")
ECI_TOKEN_AUDIENCE = os.environ.get("ECI_TOKEN_AUDIENCE", "eci")
# The key that signs checkpoints of the stock ledger (contexts/inventory/services/sealing.py), and earlier ones' public
# halves. Without it, one that is derived from the secret key.
ECI_LEDGER_KEY = secret("ECI_LEDGER_KEY")
ECI_LEDGER_RETIRED_KEYS = os.environ.get("ECI_LEDGER_RETIRED_KEYS", "")
# The key that signs calls to other processes, and the keys of processes that may call (eci/calls/service_tokens.py).
ECI_SERVICE_KEY = secret("ECI_SERVICE_KEY")
ECI_SERVICE_CALLERS_DIR = Path(os.environ.get("ECI_SERVICE_CALLERS_DIR") or DATA_DIR / "callers")
# Whether staff sign in with a second factor (eci/identity/second_factor.py): off, optional, required.
ECI_STAFF_2FA = choice("ECI_STAFF_2FA", "optional", "required", "off")
# Where staff may sign in instead: an OpenID Connect provider (config/staff/provider.py).
ECI_OIDC_ISSUER = provider_url("ECI_OIDC_ISSUER")
ECI_OIDC_CLIENT_ID = os.environ.get("ECI_OIDC_CLIENT_ID", "")
ECI_OIDC_CLIENT_SECRET = secret("ECI_OIDC_CLIENT_SECRET")
if ECI_OIDC_ISSUER and not (ECI_OIDC_CLIENT_ID and ECI_OIDC_CLIENT_SECRET):
    raise ImproperlyConfigured("ECI_OIDC_ISSUER needs ECI_OIDC_CLIENT_ID and ECI_OIDC_CLIENT_SECRET.")
ECI_OIDC_DOMAINS = domains("ECI_OIDC_DOMAINS")
ECI_OIDC_GROUPS_CLAIM = os.environ.get("ECI_OIDC_GROUPS_CLAIM", "groups")
ECI_OIDC_GROUPS = staff_groups("ECI_OIDC_GROUPS")
for name in ("ECI_OIDC_CLIENT_ID", "ECI_OIDC_CLIENT_SECRET", "ECI_OIDC_DOMAINS", "ECI_OIDC_GROUPS"):
    if not ECI_OIDC_ISSUER and globals()[name]:
        raise ImproperlyConfigured(f"{name} does nothing without ECI_OIDC_ISSUER, the provider.")
OTP_TOTP_ISSUER = "ECI"  # beside the account's name in authenticator apps
# The first administrator, whom ``manage.py up`` and ``manage.py prepare_staff`` create.
ECI_ADMIN_EMAIL = os.environ.get("ECI_ADMIN_EMAIL", "")
ECI_ADMIN_PASSWORD = secret("ECI_ADMIN_PASSWORD")
# Callers on this machine, such as health checks, are always taken. In open mode too nobody else is by default: a site
# whose name is made to mean 127.0.0.1 while somebody here looks at it could do what everybody may.
ALLOWED_HOSTS = [host for host in os.environ.get("ECI_ALLOWED_HOSTS", "").split(",") if host]
ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("ECI_CSRF_TRUSTED_ORIGINS", "").split(",") if origin]

# -- contexts ---------------------------------------------------------------------------------------------------------
ECI_SERVICES = places(os.environ.get("ECI_SERVICES", ""))
ECI_CONTEXTS = tuple(name for name, place in ECI_SERVICES.items() if place == LOCAL)  # that this process hosts
ECI_SUBSCRIPTIONS = subscriptions()
ECI_IMPORTS = imports()
ECI_SERVICE_NAME = os.environ.get("ECI_SERVICE_NAME") or service_name(ECI_SERVICES)
# Access tokens are signed where customers runs. Elsewhere its public keys are fetched from there, or set here.
ECI_SIGNS_TOKENS = "customers" in ECI_CONTEXTS
ECI_TOKEN_PUBLIC_KEYS = os.environ.get("ECI_TOKEN_PUBLIC_KEYS", "")
ECI_TOKEN_JWKS_URL = f"{ECI_SERVICES['customers']}/.well-known/jwks.json"
if ECI_SERVICES["customers"] == NOWHERE and not ECI_TOKEN_PUBLIC_KEYS:
    raise ImproperlyConfigured(
        "Access tokens cannot be verified. Either name the URL of customers, which signs them, in ECI_SERVICES, or set "
        "its public keys in ECI_TOKEN_PUBLIC_KEYS."
    )
ECI_SERVICE_TIMEOUT = number("ECI_SERVICE_TIMEOUT", 8, least=0.001)  # seconds to wait for another process's answer

# -- the shop ---------------------------------------------------------------------------------------------------------
ECI_CURRENCY = os.environ.get("ECI_CURRENCY", "USD")
ECI_TAX_RATE = fraction("ECI_TAX_RATE", "0.05")
ECI_SHIPPING_FEES = fees.parse(os.environ.get("ECI_SHIPPING_FEE", ""), currency=ECI_CURRENCY)
ECI_RESERVATION_SECONDS = whole("ECI_RESERVATION_SECONDS", 900, least=1)
ECI_FULFILMENT = choice("ECI_FULFILMENT", "automatic", "warehouse")
ECI_GATEWAY_TIMEOUT = number("ECI_GATEWAY_TIMEOUT", 2, least=0.001)  # seconds
ECI_GATEWAY = choice("ECI_GATEWAY", "sandbox", "http")
ECI_GATEWAY_URL = os.environ.get("ECI_GATEWAY_URL", "")
ECI_GATEWAY_SECRET = secret("ECI_GATEWAY_SECRET")
if ECI_GATEWAY == "http" and not (ECI_GATEWAY_URL and ECI_GATEWAY_SECRET):
    raise ImproperlyConfigured("ECI_GATEWAY=http needs ECI_GATEWAY_URL and ECI_GATEWAY_SECRET.")
ECI_WEBHOOK_SECRETS = [one for one in secret("ECI_WEBHOOK_SECRETS").split(",") if one]
if not ECI_DEBUG:
    for one in filter(None, [ECI_GATEWAY_SECRET, *ECI_WEBHOOK_SECRETS]):
        strong("A secret in ECI_GATEWAY_SECRET or ECI_WEBHOOK_SECRETS", one)
# A payment over one of these waits until staff has reviewed it: its amount, where its currency
# has a limit; a customer's payments, declines in an hour.
ECI_REVIEW_AMOUNTS = fees.parse(
    os.environ.get("ECI_REVIEW_AMOUNT", ""), currency=ECI_CURRENCY, setting="ECI_REVIEW_AMOUNT", usual=Decimal(50000)
)
ECI_REVIEW_AMOUNT = ECI_REVIEW_AMOUNTS.get(ECI_CURRENCY)
ECI_REVIEW_PAYMENTS = whole("ECI_REVIEW_PAYMENTS", 60)
ECI_REVIEW_DECLINES = whole("ECI_REVIEW_DECLINES", 10)
ECI_REVIEW_HOURS = whole("ECI_REVIEW_HOURS", 72)  # then an order whose payment nobody reviewed ends
# What a customer may have open at once, unpaid: orders, and their value in ECI_CURRENCY (None: any).
ECI_UNPAID_ORDERS = whole("ECI_UNPAID_ORDERS", 10)
ECI_UNPAID_VALUE = amount("ECI_UNPAID_VALUE")
ECI_MAX_UNITS_PER_LINE = whole("ECI_MAX_UNITS_PER_LINE", 1000, least=1)  # of a product in a customer's order
ECI_RETURN_DAYS = whole("ECI_RETURN_DAYS", 30)  # after dispatch, for customers
ECI_SANDBOX_LEDGER = Path(os.environ.get("ECI_SANDBOX_LEDGER") or DATA_DIR / "sandbox_gateway.sqlite3")
ECI_COUNTERS_FILE = DATA_DIR / "counters.sqlite3"  # of requests and wrong passwords, where there is no Redis
# The token that lets others than admins read /metrics, the port of the worker's own page (0: none), how long answers
# of a database are kept, counters of each database, and certificates whose end an alert announces.
ECI_METRICS_TOKEN = secret("ECI_METRICS_TOKEN")
if ECI_METRICS_TOKEN and not ECI_DEBUG:
    strong("ECI_METRICS_TOKEN", ECI_METRICS_TOKEN)
ECI_METRICS_PORT = whole("ECI_METRICS_PORT", 9808, most=65535)
ECI_METRICS_KEPT = number("ECI_METRICS_KEPT", 5)  # seconds
ECI_DB_METRICS = flag("ECI_DB_METRICS")
ECI_CERTIFICATES = [Path(path) for path in os.environ.get("ECI_CERTIFICATES", "").split(",") if path]
# Backups that are kept (config/operations/keeping.py), and the servers where a restore drill makes scratch databases.
ECI_BACKUP_DIR = folder("ECI_BACKUP_DIR")
ECI_BACKUP_HOURS = number("ECI_BACKUP_HOURS", 24)
ECI_BACKUP_KEEP = whole("ECI_BACKUP_KEEP", 14)
ECI_BACKUP_RECIPIENTS = [one.strip() for one in os.environ.get("ECI_BACKUP_RECIPIENTS", "").split(",") if one.strip()]
ECI_BACKUP_IDENTITY = secret("ECI_BACKUP_IDENTITY")
ECI_BACKUP_S3_URL = os.environ.get("ECI_BACKUP_S3_URL", "")
ECI_BACKUP_S3_ENDPOINT = server_url("ECI_BACKUP_S3_ENDPOINT")
ECI_BACKUP_S3_REGION = os.environ.get("ECI_BACKUP_S3_REGION", "us-east-1")
ECI_BACKUP_S3_KEY_ID = secret("ECI_BACKUP_S3_KEY_ID")
ECI_BACKUP_S3_SECRET = secret("ECI_BACKUP_S3_SECRET")
ECI_DRILL_POSTGRES_URL = scratch_server("ECI_DRILL_POSTGRES_URL", "postgresql")
ECI_DRILL_MYSQL_URL = scratch_server("ECI_DRILL_MYSQL_URL", "mysql")

# -- databases --------------------------------------------------------------------------------------------------------
_SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8000;",
}


# At least the threads of a process (config/gunicorn.py, the worker). A request holds connections of several contexts.
# If it had to wait for one that another request holds, the two could wait for each other.
ECI_POOL_SIZE = whole("ECI_POOL_SIZE", 4)

# PostgreSQL plans a statement that a connection repeats once. A pooler must know the protocol's prepared statements.
ECI_PREPARED_STATEMENTS = flag("ECI_PREPARED_STATEMENTS", True)
_PREPARED = {"server_side_binding": True, "prepare_threshold": 2}  # from the second time on

# Seconds that a request waits for one answer of a database (eci/databases); 0: for ever.
ECI_DATABASE_TIMEOUT = whole("ECI_DATABASE_TIMEOUT", 2, most=2_147_483)  # PostgreSQL counts milliseconds


def _database(variable: str, name: str) -> dict[str, Any]:
    url = secret(variable) or f"sqlite:///{quote(str(DATA_DIR / name))}.sqlite3"
    config: dict[str, Any] = dict(
        database(
            variable,
            url,
            conn_max_age=None,
            conn_health_checks=True,
            disable_server_side_cursors=True,  # they outlive their transaction, which breaks behind a pooler
        )
    )
    if config["ENGINE"].endswith("sqlite3"):
        config["OPTIONS"] = dict(_SQLITE_OPTIONS)
        config["CONN_HEALTH_CHECKS"] = False
    else:
        config["OPTIONS"] = {"connect_timeout": 2, **config.get("OPTIONS", {})}
        if config["ENGINE"].endswith("mysql"):
            config["OPTIONS"] |= {
                "charset": "utf8mb4",
                "isolation_level": "read committed",
                "init_command": "SET time_zone = '+00:00'",
            }
        else:
            config["OPTIONS"] |= _PREPARED if ECI_PREPARED_STATEMENTS else {}
        if ECI_POOL_SIZE and not config["ENGINE"].endswith("mysql"):
            config["CONN_MAX_AGE"] = 0  # connections go back to the pool, which keeps them open
            # By default the pool waits longer before each attempt at a server that is away, up to minutes.
            config["OPTIONS"]["pool"] = {"min_size": 0, "max_size": ECI_POOL_SIZE, "timeout": 2, "reconnect_timeout": 1}
    config["ENGINE"] = config["ENGINE"].replace("django.db.backends.", "eci.databases.")
    return config


DATABASES = {PLATFORM: _database("ECI_PLATFORM_DATABASE_URL", "platform")} | {
    name: _database(f"ECI_{name.upper()}_DATABASE_URL", name) for name in ECI_CONTEXTS
}
# Replicas that public lists may be read from; they may lag behind a moment (eci/db.py).
DATABASES |= {
    f"{name}_replica": _database(f"ECI_{name.upper()}_REPLICA_URL", name) | {"TEST": {"MIRROR": name}}
    for name in ("catalog", "inventory")
    if name in DATABASES and secret(f"ECI_{name.upper()}_REPLICA_URL")
}
DATABASE_ROUTERS = ["eci.db.ContextRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Django -----------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    # The desk stands before the admin, whose frame it overrides.
    *(["config.desk.apps.DeskConfig"] if "orders" in ECI_CONTEXTS else []),
    "config.staff.apps.StaffSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "eci.apps.KernelConfig",  # before rest_framework, whose page it overrides
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "config.staff.apps.StaffConfig",
    "config.books.apps.BooksConfig",
    "config.operations.apps.OperationsConfig",
    *(["config.people.apps.PeopleConfig"] if "customers" in ECI_CONTEXTS else []),
    *(f"contexts.{name}" for name in ECI_CONTEXTS),
]
MIDDLEWARE = [
    "eci.http.security.ProxyHeaders",
    "eci.watch.requests.RequestMiddleware",
    "eci.watch.metrics.MeasureMiddleware",
    "eci.http.security.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "eci.http.security.PagesPolicy",
    "eci.http.security.CrossOrigin",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "eci.http.pages.Sessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "eci.http.pages.Accounts",
    "config.staff.second_factor.SecondFactorMiddleware",
    "eci.http.pages.Messages",
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
AUTHENTICATION_BACKENDS = ["config.staff.backend.PeopleOnly"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "eci.identity.passwords.Plain"},
    {"NAME": "eci.identity.passwords.Impersonal"},
]
PASSWORD_HASHERS = ["eci.identity.passwords.Argon2id", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
STATIC_URL = "/static/"
STATIC_ROOT = os.environ.get("ECI_STATIC_ROOT") or None  # set in the image, where they are collected
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {  # the image's build collects them as root, and another user reads them
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage",
        "OPTIONS": {"file_permissions_mode": 0o644, "directory_permissions_mode": 0o755},
    },
}
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "config.formats"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # of a body; files of imports have a limit of their own
FILE_UPLOAD_TEMP_DIR = str(DATA_DIR)
for name in ("ECI_LOG_LEVEL", "ECI_ACCESS_LOG"):
    choice(name, "INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
LOGGING = logging_config()

# -- the web ----------------------------------------------------------------------------------------------------------
ECI_RATE_LIMITS = limits.parse(os.environ.get("ECI_RATE_LIMITS", ""))
ECI_TRUSTED_PROXIES = networks("ECI_TRUSTED_PROXIES")
SESSION_ENGINE = "eci.identity.sessions"
# Connections that a web process lets one address have at once, proxies excepted; 0: any number.
ECI_CONNECTIONS_PER_ADDRESS = whole("ECI_CONNECTIONS_PER_ADDRESS", 256)
ECI_WEB_WORKERS = whole("ECI_WEB_WORKERS", 2, least=1)  # config/gunicorn.py reads both again, before Django
ECI_WEB_THREADS = whole("ECI_WEB_THREADS", 4, least=1)
LOGIN_REDIRECT_URL = "/admin/"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = flag("ECI_SECURE_COOKIES", not ECI_DEBUG)
CSRF_COOKIE_HTTPONLY = True  # no script of ours reads it
CSRF_FAILURE_VIEW = "eci.http.envelope.csrf_failure"
SECURE_HSTS_SECONDS = whole("ECI_HSTS_SECONDS", 0 if ECI_DEBUG else 86400)
SECURE_SSL_REDIRECT = flag("ECI_HTTPS_REDIRECT")
# Probes and calls between processes bypass the proxy.
SECURE_REDIRECT_EXEMPT = ["^health", "^v1/health$", "^actuator/health$", "^metrics", "^internal/"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("ECI_TRUST_FORWARDED_PROTO") else None
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for other hosts of the domain is not this product's decision
    "security.W021",
    "security.W008",  # TLS ends at the proxy, and an API that redirects teaches clients to send tokens unencrypted
]
# Pages may load from our own host only. The API's JSON answers may load nothing (eci/http/security.py).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [csp.SELF],
        "img-src": [csp.SELF, "data:"],
        "style-src": [csp.SELF, csp.NONCE],
        "object-src": [csp.NONE],
        "base-uri": [csp.NONE],
        "form-action": [csp.SELF],
        "frame-ancestors": [csp.NONE],
    }
}
CORS_ALLOWED_ORIGINS = [origin for origin in os.environ.get("ECI_CORS_ORIGINS", "").split(",") if origin]
CORS_URLS_REGEX = r"^/(v1/|api/v1/|schema$|\.well-known/)"
CORS_ALLOW_HEADERS = [*cors_headers, "idempotency-key", "if-match", "if-none-match", "traceparent", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    "ETag",
    "Idempotent-Replayed",
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Request-ID",
]

# -- API --------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "eci.identity.auth.AccessToken",
        "eci.identity.auth.StaffSession",
        "eci.identity.auth.OpenMode",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["eci.identity.auth.RolesAllowed"],
    "DEFAULT_RENDERER_CLASSES": [
        "eci.http.envelope.EnvelopeRenderer",
        "eci.http.browsable.BrowsableRenderer",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "eci.http.negotiation.JsonUnlessAsked",
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
    "AUTHENTICATION_WHITELIST": ["eci.identity.auth.AccessToken", "eci.identity.auth.StaffSession"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": False},  # it puts links into buttons, where no screen reader finds them
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
    "contexts.notifications.adapters.smtp.EmailBackend"
    if os.environ.get("EMAIL_HOST")
    else "django.core.mail.backends.filebased.EmailBackend",  # mails hold names and secrets, which no log may hold
)
EMAIL_HOST = os.environ.get("EMAIL_HOST", "localhost")
EMAIL_PORT = whole("EMAIL_PORT", 25, most=65535)
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = secret("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = flag("EMAIL_USE_TLS")
EMAIL_TIMEOUT = 5
EMAIL_FILE_PATH = os.environ.get("EMAIL_FILE_PATH") or str(DATA_DIR / "mail")
DEFAULT_FROM_EMAIL = sender("DEFAULT_FROM_EMAIL", "shop@example.com")
ECI_SMS_BACKEND = os.environ.get("ECI_SMS_BACKEND", "console")
ECI_VERIFY_EMAIL = flag("ECI_VERIFY_EMAIL")  # customers confirm their address before their first login
ECI_LOW_STOCK_MAIL = mailboxes("ECI_LOW_STOCK_MAIL")  # who is told once a day what is low
ECI_LOW_STOCK_MAIL_HOUR = whole("ECI_LOW_STOCK_MAIL_HOUR", 6, most=23)  # in UTC, and not before
ECI_STOREFRONT_URL = os.environ.get("ECI_STOREFRONT_URL", "").rstrip("/")

# -- Celery -----------------------------------------------------------------------------------------------------------
ECI_REDIS_URL = secret("ECI_REDIS_URL")
