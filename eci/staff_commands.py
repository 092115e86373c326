"""Pages beside a row's own: each is a form that asks for one command on the row.

An admin is ``CommandPages`` and names its ``commands``. Such a form carries the version that it showed and a one-time
key, as every form does (docs/architecture.md, "Forms").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from eci.errors import EciError, PreconditionFailed
from eci.identity.auth import staff_name
from eci.staff import StaffAdmin
from eci.staff_confirm import confirmed
from eci.staff_forms import VERSION, OnceForm, focus_first, key_for, sent_before

CHANGED = "This has changed since its page was opened. Look at it as it is now, and ask again if that is still right."


class CommandForm(OnceForm):
    """A command on one row.

    - ``name`` is its page's, ``title`` says what it does, ``verb`` is the permission to do it (``orders.cancel``).
    - ``dangerous``: the session's owner confirms first that it is them.
    - ``fits``: the row's page offers it.
    - ``begin`` records what is asked, in one transaction that the page opens; a refusal has no effect.
    - ``carry_on`` goes on from there, and returns what became of it in a sentence. Whatever it raises, what was asked
      for is recorded.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    verb: ClassVar[str]
    dangerous: ClassVar[bool] = False

    def __init__(self, row: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, rows={row.pk: row.version}, **kwargs)
        self.row = row
        for name, value in self.facts(row).items():
            self.fields[f"_shown-{name}"] = forms.CharField(required=False, initial=value, widget=forms.HiddenInput)

    @classmethod
    def facts(cls, row: Any) -> dict[str, str]:
        """What the page remembers of the row, by name, to tell a second writer what has changed."""
        return {"Status": str(row.status)}

    @classmethod
    def fits(cls, row: Any) -> bool:
        raise NotImplementedError

    def explanation(self) -> str:
        return ""

    def begin(self, *, actor: str, version: int) -> Any:
        raise NotImplementedError

    def carry_on(self, begun: Any) -> str:
        raise NotImplementedError


class CommandPages(StaffAdmin):
    commands: ClassVar[tuple[type[CommandForm], ...]] = ()

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<path:object_id>/{form.name}/",
                self.admin_site.admin_view(self._page(form)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{form.name}",
            )
            for form in self.commands
        ]
        return [*own, *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = kwargs.get("obj")
        fitting = [form for form in self.commands if row and request.user.has_perm(form.verb) and form.fits(row)]
        offered = [{"name": form.name, "title": form.title} for form in fitting]  # templates call classes
        return super().render_change_form(request, context | {"commands": offered}, *args, **kwargs)

    def _page(self, form_class: type[CommandForm]) -> Callable[..., HttpResponseBase]:
        page = partial(self._command, form_class)
        return confirmed(page) if form_class.dangerous else page

    def _command(self, form_class: type[CommandForm], request: HttpRequest, object_id: str) -> HttpResponse:
        if not request.user.has_perm(form_class.verb):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            self.message_user(request, f"There is no {self.opts.verbose_name} {object_id}.", messages.WARNING)
            return redirect(self._list_url())
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[quote(row.pk)])
        if request.method != "POST":
            if not form_class.fits(row):
                self.message_user(request, f"{form_class.title}: not as it is now.", messages.WARNING)
                return redirect(back)
            return self._show(request, form_class(row), back)
        try:
            if sent_before(request, self.opts.app_label) is not False:
                self.message_user(request, "")
                return redirect(back)
            form = form_class(row, request.POST)
            if form.seen_version(row.pk) != row.version:
                raise PreconditionFailed(CHANGED)
            begun = self._begin(request, form) if form.is_valid() else []
            if form.errors and sent_before(request, self.opts.app_label) is not False:  # by a double click
                self.message_user(request, "")
                return redirect(back)
        except PreconditionFailed:
            return self._show(request, self._told(form_class, request, object_id), back)
        except EciError as refusal:
            form = form_class(row, request.POST)
            form.add_error(None, refusal.message)
            begun = []
        if form.errors:
            return self._show(request, form, back)
        self._carry_on(request, form, begun)
        return redirect(back)

    def _told(self, form_class: type[CommandForm], request: HttpRequest, object_id: str) -> CommandForm:
        """The form as it was sent, beside the row as it is now."""
        row = self.get_object(request, unquote(object_id))
        again = request.POST.copy()
        again[f"{VERSION}-{row.pk}"] = str(row.version)
        changes = []
        for name, now in form_class.facts(row).items():
            was = request.POST.get(f"_shown-{name}", "")[:50]
            if was != now:
                changes.append(f"{name}: now {now}, and {was or 'unknown'} when the page was opened.")
            again[f"_shown-{name}"] = now
        form = form_class(row, again)
        form.add_error(None, " ".join([CHANGED, *changes]))
        return form

    def _begin(self, request: HttpRequest, form: CommandForm) -> list[Any]:
        """What has begun; nothing for a form that is sent again."""
        begun: list[Any] = []

        def begin() -> None:
            begun[:] = [form.begin(actor=staff_name(request.user), version=form.seen_version(form.row.pk))]

        self.once(request, self.opts.app_label, f"{self.opts.model_name}.{form.name}", begin)
        return begun

    def _carry_on(self, request: HttpRequest, form: CommandForm, begun: list[Any]) -> None:
        try:
            self.message_user(request, form.carry_on(begun[0]) if begun else "", messages.SUCCESS)
        except EciError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)

    def _show(self, request: HttpRequest, form: CommandForm, back: str) -> HttpResponse:
        focus_first(form)
        context = {
            **self.admin_site.each_context(request),
            "title": form.title,
            "explanation": form.explanation(),
            "form": form,
            "form_key": key_for(request),
            "row": form.row,
            "back": back,
            "opts": self.opts,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "eci/form.html", context)
