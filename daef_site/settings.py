"""Django's settings, read from ``DAEF_*`` variables (see ``docs/reference/settings.md``)."""

import os
import secrets
from pathlib import Path
from typing import Any

from daef_site import env, fabric
from daef_site.appearance import UNFOLD as UNFOLD
from queueing import rq_pages

BASE_DIR = Path(__file__).resolve().parent.parent

# ── where things are ──────────────────────────────────────────────────────────────────────────────
DAEF_DATA_DIR = Path(env.text("DAEF_DATA_DIR", str(BASE_DIR / ".daef"))).expanduser().resolve()
DAEF_HTTP_ADDR = env.address("DAEF_HTTP_ADDR", "127.0.0.1:8080")
DAEF_GRPC_ADDR = env.address("DAEF_GRPC_ADDR", "127.0.0.1:8081")
# Where the control plane answers probes; None for nowhere.
DAEF_PROBE_ADDR = env.optional_address("DAEF_PROBE_ADDR")

# ── the stores ────────────────────────────────────────────────────────────────────────────────────
DAEF_STORE = env.choice("DAEF_STORE", ("memory", "embedded", "postgres"), "memory")
DAEF_QUEUE = env.choice("DAEF_QUEUE", ("memory", "embedded", "redis"), "memory")
DAEF_POSTGRES_DSN = env.secret("DAEF_POSTGRES_DSN")
DAEF_REDIS_ADDR = env.secret("DAEF_REDIS_ADDR", "127.0.0.1:6379")
DAEF_REDIS_PASSWORD = env.secret("DAEF_REDIS_PASSWORD")
DAEF_REDIS_DB = env.whole_number("DAEF_REDIS_DB", 0, least=0, most=1_000_000)
DAEF_FABRIC = fabric.living(DAEF_DATA_DIR)


def _postgres_dsn() -> str:
    if DAEF_STORE != "postgres":
        return DAEF_FABRIC.postgres_dsn if DAEF_FABRIC else ""
    if not DAEF_POSTGRES_DSN:
        raise env.BadSetting(
            "DAEF_POSTGRES_DSN",
            "is needed with DAEF_STORE=postgres; "
            "write postgres://user:password@host:5432/database?sslmode=disable.",
        )
    return DAEF_POSTGRES_DSN


def _redis_url() -> str:
    if DAEF_QUEUE != "redis":
        return DAEF_FABRIC.redis_url if DAEF_FABRIC else ""
    return env.redis_url(
        "DAEF_REDIS_ADDR", DAEF_REDIS_ADDR, password=DAEF_REDIS_PASSWORD, database=DAEF_REDIS_DB
    )


# The control plane's own Redis URL ("" without a fabric) and the one agents are told.
DAEF_REDIS_URL = _redis_url()
DAEF_REDIS_AGENT_URL = env.secret(
    "DAEF_REDIS_AGENT_URL",
    DAEF_FABRIC.agent_redis_url if DAEF_FABRIC and DAEF_QUEUE != "redis" else DAEF_REDIS_URL,
)

# Time limits in milliseconds; a statement that takes longer is a fault, not a slow answer.
_SESSION = {
    "statement_timeout": 30_000,
    "lock_timeout": 2_000,
    # A process of ours that was stopped in the middle of a transaction holds its locks no longer.
    "idle_in_transaction_session_timeout": 10_000,
}
DAEF_POSTGRES_POOL_MAX = env.whole_number("DAEF_POSTGRES_POOL_MAX", 48, least=0, most=1000)


def database(dsn: str, *, pool_max: int) -> dict[str, Any]:
    """Django's settings for the store at ``dsn`` ("" where none is known; 0 for no pool)."""
    parts: dict[str, Any] = env.postgres_parts("DAEF_POSTGRES_DSN", dsn) if dsn else {}
    options: dict[str, Any] = {
        "application_name": "daef",
        # A request that needs a connection waits for it: no longer than a caller would.
        "connect_timeout": 3,
        # A server that vanished without a word is noticed after 10 to 25 s.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        **parts.pop("OPTIONS", {}),
        "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
    }
    if pool_max:
        # timeout: how long a request waits for a connection before it is answered 503.
        options["pool"] = {"max_size": pool_max, "timeout": 5, "max_idle": 10}
    return {
        "ENGINE": "daef_site.database",
        "NAME": "daef",
        "HOST": "",
        "CONN_HEALTH_CHECKS": True,
        **parts,
        "OPTIONS": options,
    }


DATABASES = {"default": database(_postgres_dsn(), pool_max=DAEF_POSTGRES_POOL_MAX)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ── the fabric's rules ────────────────────────────────────────────────────────────────────────────
DAEF_LEASE_SECONDS = env.number("DAEF_LEASE_SECONDS", 15.0, least=0.5, most=3600)
DAEF_MAX_ATTEMPTS = env.whole_number("DAEF_REDIS_DEADLETTER_MAX", 5, least=1, most=100)
DAEF_RETENTION_DAYS = env.whole_number("DAEF_RETENTION_DAYS", 30, least=1, most=36_500)
DAEF_SUBMIT_RATE_LIMIT_PER_MIN = env.optional_whole_number(
    "DAEF_SUBMIT_RATE_LIMIT_PER_MIN", least=1, most=1_000_000
)
DAEF_ADMIN_REQUEUE_MAX_BATCH = env.whole_number(
    "DAEF_ADMIN_REQUEUE_MAX_BATCH", 100, least=1, most=10_000
)
DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = env.whole_number(
    "DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN", 30, least=1, most=100_000
)
DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD = env.whole_number(
    "DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD", 20, least=1, most=10_000
)
DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN = env.header_text(
    "DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN", env.secret("DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN")
)
DAEF_TEST_KINDS = env.flag("DAEF_TEST_KINDS")

# ── access ────────────────────────────────────────────────────────────────────────────────────────
DAEF_API_TOKENS = env.secret("DAEF_API_TOKENS")
# The token of the local fabric's own agents; scope "worker" only.
DAEF_AGENT_TOKEN = env.secret("DAEF_AGENT_TOKEN", DAEF_FABRIC.agent_token if DAEF_FABRIC else "")
DAEF_TLS_CERT_FILE = env.text("DAEF_TLS_CERT_FILE")
DAEF_TLS_KEY_FILE = env.text("DAEF_TLS_KEY_FILE")
DAEF_TLS_CA_FILE = env.text("DAEF_TLS_CA_FILE")
DAEF_INSECURE_TRANSPORT = env.flag("DAEF_INSECURE_TRANSPORT")

DEBUG = env.flag("DAEF_DEBUG")
_LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = env.words("DAEF_ALLOWED_HOSTS", _LOOPBACK_NAMES)
# Names by which other machines know this gateway.
DAEF_PUBLIC_HOSTS = [name for name in ALLOWED_HOSTS if name not in _LOOPBACK_NAMES]

# Whoever gives the gateway a name in the network gets the console by https only.
DAEF_HTTPS = env.flag("DAEF_HTTPS", default=bool(DAEF_PUBLIC_HOSTS))
DAEF_TRUSTED_PROXIES = env.networks("DAEF_TRUSTED_PROXIES", ["127.0.0.1", "::1"])


def _secret_key() -> str:
    given = env.secret("DAEF_SECRET_KEY")
    if given and len(given) < 32:
        raise env.BadSetting("DAEF_SECRET_KEY", "is too short; write at least 32 characters.")
    return given or _kept_secret_key(DAEF_DATA_DIR / "secret_key")


def _kept_secret_key(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        fabric.make_data_folder(DAEF_DATA_DIR)
    # Two first starts at once must end with the same key: the one whose link comes first wins.
    mine = path.with_name(f".secret_key.{os.getpid()}")
    fabric.write_private(mine, secrets.token_urlsafe(48))
    try:
        os.link(mine, path)
    except FileExistsError:
        pass
    finally:
        mine.unlink()
    return path.read_text(encoding="ascii")


SECRET_KEY = _secret_key()

# ── Django ────────────────────────────────────────────────────────────────────────────────────────
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "daef_site.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "daef_site.apps.SiteConfig",
    "jobs",
    "queueing",
    "access",
    "audit",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "jobs.api.middleware.RequestIdMiddleware",
    "daef_site.https.TrustedProxyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "jobs.api.middleware.BodyLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "jobs.api.middleware.CountingMiddleware",
]
ROOT_URLCONF = "daef_site.urls"
WSGI_APPLICATION = "daef_site.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates", rq_pages.TEMPLATES],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"console": "jobs.admin.tags", **rq_pages.TEMPLATE_TAGS},
        },
    }
]
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [rq_pages.STATIC]
# Served straight from the packages: no collectstatic step between a clone and a console.
WHITENOISE_USE_FINDERS = True
# RQ's own pages, which show the queues of the pools there are.
RQ_QUEUES = rq_pages.PoolQueues()
DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_COOKIE_NAME = "daef_session"
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
PROMETHEUS_EXPORT_MIGRATIONS = False

# ── https ─────────────────────────────────────────────────────────────────────────────────────────
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = DAEF_HTTPS
# A client cannot set this one by a header: only the middleware does, for proxies that are trusted.
SECURE_PROXY_SSL_HEADER = ("daef.transport", "https") if DAEF_HTTPS else None
# Probes come by plain HTTP. So may programs on a private network: a redirect would answer them
# only after their token had travelled.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^v1/"]
SECURE_SSL_HOST = next((name for name in DAEF_PUBLIC_HOSTS if name[0] not in ".*"), None)
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if DAEF_HTTPS else 0
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # subdomains of the gateway's name are others' to decide about
    "security.W021",  # so is the browsers' preload list, which demands the subdomains
    "security.W009",  # daef.E001 asks the same of keys that were chosen by hand
]

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["access.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["access.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "jobs.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "DAEF",
    "DESCRIPTION": "Distributed AI Execution Fabric: jobs in, reports with evidence out.",
    "VERSION": "v1",
    # The structs' schemas are JSON Schema 2020-12, which earlier OpenAPI cannot hold.
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "daef_site.logs.TextFormatter"},
        "json": {"()": "daef_site.logs.JsonFormatter"},
    },
    "filters": {"without_trace": {"()": "daef_site.logs.WithoutTrace"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": env.choice("DAEF_LOG_FORMAT", ("text", "json"), "text"),
        }
    },
    "loggers": {
        "django.security.DisallowedHost": {"filters": ["without_trace"]},
    },
    "root": {"handlers": ["console"], "level": "INFO"},
}
