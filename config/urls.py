"""Every URL of the process. Each of its contexts has its /v1 twice: at the root and under /api/v1/<context>/."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from config.operations import readiness
from config.staff import login
from eci.http import docs, health, jwks, root
from eci.http.routes import Routes

urlpatterns = [
    *(Routes("v1/", f"contexts.{name}.http.urls") for name in settings.ECI_CONTEXTS),  # first: most want these
    path("", include("config.staff.urls")),
    path("", include("config.operations.urls")),
    *([path("", include("config.desk.urls"))] if "orders" in settings.ECI_CONTEXTS else []),
    *([path("", include("config.books.urls"))] if "orders" in settings.ECI_CONTEXTS else []),
    path("admin/login/", login.login),
    path("admin/password_change/", login.password_change),
    path("admin/", admin.site.urls),
    path("schema", docs.Schema.as_view(), name="schema"),
    path("docs", docs.Docs.as_view(), name="docs"),
    *([path(".well-known/jwks.json", jwks.jwks)] if settings.ECI_SIGNS_TOKENS else []),
    path("health", health.overall),
    path("v1/health", health.overall),
    path("actuator/health", health.overall),
    path("health/live", health.live),
    path("health/ready", readiness.ready),
    path("health/<str:context>", health.one),
    path("v1", root.Root.as_view()),
    path("v1/", root.Root.as_view()),
    *(
        path(f"api/v1/{name}/v1/", include((f"contexts.{name}.http.urls", name), namespace=f"gateway-{name}"))
        for name in settings.ECI_CONTEXTS
    ),
    *(
        path(f"{prefix}v1/", include("config.people.urls"))
        for prefix in ("", "api/v1/customers/")
        if "customers" in settings.ECI_CONTEXTS
    ),
    *(path(f"api/v1/{name}/v1/health", health.one, {"context": name}) for name in settings.ECI_CONTEXTS),
]
if len(settings.ECI_CONTEXTS) < len(settings.ECI_SERVICES):  # else this process speaks for all as it is
    from eci.http import together

    urlpatterns = [
        path("health/all", together.health),
        path("schema/all", together.Schema.as_view()),
        *urlpatterns,
    ]
if settings.ECI_SERVICE_CALLERS_DIR.is_dir():  # without it no other process may call this one
    from eci.http import internal

    urlpatterns += [
        path("internal/v1/<str:context>/events", internal.deliver_all),
        path("internal/v1/<str:context>/<str:method>", internal.call),
        path("internal/v1/<str:context>/events/<str:event>", internal.deliver),
    ]
handler400 = "eci.http.envelope.bad_request"
handler404 = "eci.http.envelope.not_found"
handler500 = "eci.http.envelope.server_error"
