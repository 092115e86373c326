"""The site of staff's pages: Django's, and whoever sends a form without being signed in is told what became of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite, autodiscover
from django.core.checks import CheckMessage
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import never_cache

View = Callable[..., HttpResponseBase]


class StaffSite(AdminSite):
    """Its pages are loaded by whoever shows or checks them: a worker and many commands start without, in less time."""

    def get_urls(self) -> list[Any]:
        autodiscover()
        return super().get_urls()

    def check(self, app_configs: Any) -> list[CheckMessage]:
        autodiscover()
        return super().check(app_configs)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """As Django's, but looked up when it is shown: every page has it at hand, for a side bar that there is not."""
        look_up = super().get_app_list
        return SimpleLazyObject(lambda: look_up(request, app_label))

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """A GET leads to the login and back, as Django has it. A POST would be lost on the way without a word."""
        for_staff: View = super().admin_view(view, cacheable)

        @functools.wraps(for_staff)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if (
                request.method == "POST"
                and not self.has_permission(request)
                and request.path != reverse("admin:logout")
            ):
                return _not_saved(request)
            return for_staff(request, *args, **kwargs)

        return guarded


@never_cache
def _not_saved(request: HttpRequest) -> HttpResponse:
    return render(request, "staff/not_saved.html", status=403)
