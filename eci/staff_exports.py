"""Lists of staff's pages as files: links below a list take all rows that its filters find, as the API's exports do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path

from eci.errors import EciError
from eci.http.downloads import CSV, XLSX, download
from eci.http.exports import PAGE, Export, begun
from eci.identity.auth import staff_roles
from eci.identity.roles import Role, Roles, only
from eci.staff import BadList, StaffAdmin


class ExportedList(StaffAdmin):
    """``exports``: what the list can be taken as. ``export_roles``: who may, as in the API; administrators always
    may."""

    exports: ClassVar[tuple[Export, ...]]
    export_roles: ClassVar[Roles] = only()

    def may_export(self, request: HttpRequest) -> bool:
        roles = staff_roles(request.user) if isinstance(request.user, User) else frozenset()
        allowed = Role.ADMIN in roles or not roles.isdisjoint(self.export_roles)
        return allowed and self.has_view_permission(request)

    def exported(self, request: HttpRequest, export: Export) -> None:
        """Called before a file is sent."""

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "export/<slug:name>.<slug:form>",
            self.admin_site.admin_view(self._export),
            name=f"{self.opts.app_label}_{self.opts.model_name}_export",
        )
        return [own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        query = f"?{request.GET.urlencode()}" if request.GET else ""
        files = [
            (f"{export.name.capitalize()} as {form.upper()}", f"export/{export.name}.{form}{query}")
            for export in self.exports
            for form in (CSV, XLSX)
        ]
        more = {"files": files if self.may_export(request) else []}
        return super().changelist_view(request, more | (extra_context or {}))

    def _export(self, request: HttpRequest, name: str, form: str) -> HttpResponseBase:
        if not self.may_export(request):
            raise PermissionDenied
        export = next((one for one in self.exports if one.name == name), None)
        if export is None or form not in (CSV, XLSX):
            raise Http404
        try:
            found = self.get_changelist_instance(request).queryset
            rows = begun(_rows(found, export))
        except (BadList, EciError) as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return redirect(self._list_url())
        self.exported(request, export)
        return download(form, export.name, export.columns, rows)


def _rows(found: QuerySet[Any], export: Export) -> Iterator[list[Any]]:
    """All rows, some at a time, those with the highest keys first: each time the next ones below the last."""
    found = found.order_by("-pk").values_list("pk", flat=True).distinct()
    left = found
    while pks := list(left[:PAGE]):
        yield from export.rows(pks)
        if len(pks) < PAGE:
            return
        left = found.filter(pk__lt=pks[-1])
