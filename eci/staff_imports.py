"""Staff's pages of imports: send a file, answer what it cannot say, look at its rows, let it be applied or undone.

A context's admin registers its Import model with ``ImportAdmin``. The rules are the API's (``eci/http/imports.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from eci import idempotency, staff_forms
from eci.errors import EciError, IdempotencyInProgress, InvalidRequest
from eci.http.imports import file_name, mapping_of, options_of, presented
from eci.identity.auth import staff_name, staff_roles
from eci.identity.roles import Role
from eci.imports import asking, uploads
from eci.imports.decoding import DELIMITERS
from eci.imports.kinds import Kind, kind_named, kinds_of
from eci.imports.rows import UNDER_WAY, ImportLineRow, ImportRow, Outcome, State, Status
from eci.staff import ReadOnly, StaffAdmin

SHOWN = 50  # rows of a page
COLUMNS = 200  # columns whose field can be chosen here; the API takes them all
LEAVE_OUT = "-"
UNSURE = "Nothing was done: first tick the box above the button."
ANSWERED_FIRST = "Nothing was written: the file is read with your answers first. Look at its rows, then apply it."
_OPTION, _COLUMN = "option-", "column-"


class BeginForm(staff_forms.OnceForm):
    kind = forms.ChoiceField(help_text="What the rows of the file are.")
    file = forms.FileField(
        help_text="CSV, text with tabs, or XLSX, as this shop or another exports it; at most 100 MB. It is read first: "
        "nothing changes before you say so."
    )

    def __init__(self, kinds: list[Kind], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(kind.name, kind.name.replace("_", " ").capitalize()) for kind in kinds]
        self.fields["kind"].choices = names  # type: ignore[attr-defined]


class AnswersForm(forms.Form):
    """What the file cannot say, and the field of each of its columns."""

    def __init__(self, row: ImportRow, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mapped: dict[str, str] = {}
        for one in row.questions:
            if one["name"] != "mapping":
                self._ask(_OPTION + one["name"], one["question"], one["choices"], one["answer"], one["needed"])
        known = {one["name"] for one in row.questions}
        given = row.given.get("options", {})
        if "header_row" not in known:
            self.fields[_OPTION + "header_row"] = forms.IntegerField(
                label="The columns' names stand in row", required=False, min_value=1, initial=given.get("header_row")
            )
        if row.detected.get("delimiter") and "delimiter" not in known:
            self._ask(_OPTION + "delimiter", "Cells are separated by", list(DELIMITERS.values()), None, False)
        mapping = row.detected.get("mapping") or {}
        fields = [(one.name, one.name) for one in kind_named(row.kind).fields]
        for index, column in enumerate(row.detected.get("columns", [])[:COLUMNS]):
            name = f"{_COLUMN}{index}"
            self.mapped[name] = column
            self.fields[name] = forms.ChoiceField(
                label=column or f"column {index + 1}",
                required=False,
                choices=[("", "as recognised"), (LEAVE_OUT, "leave it out"), *fields],
                initial=mapping.get(column) or "",
            )

    def _ask(self, name: str, question: str, choices: list[str], answer: Any, needed: bool) -> None:
        if choices:
            options = [("", "—"), *((choice, choice) for choice in choices)]
            field: forms.Field = forms.ChoiceField(label=question, choices=options, required=False, initial=answer)
        else:
            field = forms.CharField(label=question, required=False, initial=answer)
        field.help_text = "This needs an answer." if needed and answer is None else ""
        self.fields[name] = field

    def questions(self) -> list[Any]:
        return [self[name] for name in self.fields if name.startswith(_OPTION)]

    def columns(self) -> list[Any]:
        return [self[name] for name in self.mapped]

    def answers(self) -> tuple[dict[str, str | None], dict[str, Any]]:
        """The mapping and the options that were changed."""
        mapping: dict[str, str | None] = {}
        options: dict[str, Any] = {}
        for name in self.changed_data:
            said = self.cleaned_data[name]
            if said in ("", None):
                continue
            if name in self.mapped:
                mapping[self.mapped[name]] = None if said == LEAVE_OUT else str(said)
            else:
                options[name.removeprefix(_OPTION)] = said
        return mapping, options


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A choice of rows."""

    name: str
    count: int | None
    query: str
    is_shown: bool


@dataclass(frozen=True, kw_only=True)
class Command:
    """What can be done with the import now. ``says``: what that does."""

    name: str
    title: str
    says: str
    asks: bool


class ImportAdmin(ReadOnly, StaffAdmin):
    list_display = ("id", "filename", "kind", "status", "in_short", "actor", "created_at")
    list_display_links = ("id", "filename")
    list_filter = ("kind", "status")
    search_fields = ("filename", "=actor")
    ordering = ("-id",)

    @admin.display(description="rows")
    def in_short(self, row: ImportRow) -> str:
        return ", ".join(f"{row.counts[one]} {one}" for one in Outcome if row.counts.get(one))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self._kinds(request))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None:
            return self._begin(request)
        row = self.get_object(request, object_id)
        if row is None:
            self.message_user(request, f"There is no import {object_id[:40]}.", messages.WARNING)
            return redirect(self._list_url())
        if not self.has_view_permission(request, row) or kind_named(row.kind) not in self._kinds(request):
            raise PermissionDenied
        return self._do(request, row) if request.method == "POST" else self._show(request, row)

    def _kinds(self, request: HttpRequest) -> list[Kind]:
        """Those that the reader may import here."""
        user = request.user
        roles = staff_roles(user) if isinstance(user, User) else frozenset()
        return [
            kind for kind in kinds_of(self.opts.app_label) if Role.ADMIN in roles or not roles.isdisjoint(kind.roles)
        ]

    # -- a new one ----------------------------------------------------------------------------------------------------

    def _begin(self, request: HttpRequest) -> HttpResponse:
        kinds = self._kinds(request)
        if not kinds:
            raise PermissionDenied
        form = BeginForm(kinds)
        if request.method == "POST":
            form = BeginForm(kinds, request.POST, request.FILES)
            try:
                if sent := self._sent(request, form):
                    return redirect(self._page(sent))
            except EciError as refusal:
                form.add_error(None, refusal.message)
        staff_forms.focus_first(form)
        return self._render(request, "eci/imports/begin.html", title="Import a file", form=form)

    def _sent(self, request: HttpRequest, form: BeginForm) -> ImportRow | None:
        """The import that the form begins, or began when it was sent before; None for a form that is wrong."""
        context = self.opts.app_label
        key = staff_forms.key_of(request, "import.begin")
        before = idempotency.find(context, key)
        if before is None and not form.is_valid():
            return None
        if before is None:
            file = form.cleaned_data["file"]
            if file.size > uploads.LIMIT:
                raise InvalidRequest("The file is larger than 100 MB.")
            kind = kind_named(form.cleaned_data["kind"])
            try:
                given: dict[str, Any] = {"mapping": {}, "options": {}}
                name = file_name(file.name)
                return asking.begin(kind, file, filename=name, given=given, actor=staff_name(request.user), key=key)
            except IdempotencyInProgress:  # by a double click
                before = idempotency.find(context, key)
        if before is None or not before.resource:
            raise IdempotencyInProgress("This form is just being carried out.")
        self.message_user(request, staff_forms.REPEATED, messages.WARNING)
        return asking.find(before.resource)

    # -- one that is there --------------------------------------------------------------------------------------------

    def _do(self, request: HttpRequest, row: ImportRow) -> HttpResponse:
        """Carry out what the button says, once for the form."""
        action = request.POST.get("_do", "")
        try:
            if staff_forms.sent_before(request, self.opts.app_label) is not False:
                self.message_user(request, "")
            elif action == "answer" or (action == "apply" and _can_answer(row)):
                return self._answered(request, row, action)
            elif action in ("apply", "undo"):
                if "_sure" not in request.POST:
                    raise InvalidRequest(UNSURE)
                self._once(request, action, partial(getattr(asking, action), row, actor=staff_name(request.user)))
            else:
                raise InvalidRequest(staff_forms.DAMAGED)
        except EciError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
        return redirect(self._page(row))

    def _answered(self, request: HttpRequest, row: ImportRow, action: str) -> HttpResponse:
        """Read the file again with the answers. With none that are new it is applied, if that was asked."""
        form = AnswersForm(row, request.POST)
        if not form.is_valid():
            return self._show(request, row, form)
        mapping, options = form.answers()
        if action == "apply" and not (mapping or options):
            if "_sure" not in request.POST:
                raise InvalidRequest(UNSURE)
            self._once(request, action, partial(asking.apply, row, actor=staff_name(request.user)))
            return redirect(self._page(row))
        kind = kind_named(row.kind)
        try:
            mapping, options = mapping_of(kind, mapping), options_of(kind, options, row)
            self._once(request, "answer", partial(asking.answer, row, mapping=mapping, options=options))
        except EciError as refusal:
            form.add_error(None, refusal.message)
            return self._show(request, row, form)
        if action == "apply":
            self.message_user(request, ANSWERED_FIRST, messages.WARNING)
        return redirect(self._page(row))

    def _once(self, request: HttpRequest, action: str, act: Callable[[], ImportRow]) -> None:
        self.once(request, self.opts.app_label, f"import.{action}", lambda: act().pk)

    def _show(self, request: HttpRequest, row: ImportRow, form: AnswersForm | None = None) -> HttpResponse:
        seen = presented(row)
        outcome, state = self._asked(request, row)
        after = request.GET.get("after", "")
        position = int(after) if after.isdecimal() and len(after) < 10 else 0
        found = asking.lines_in(row, outcome=outcome, state=state).filter(position__gt=position)
        lines = list(found.order_by("position")[: SHOWN + 1])
        query = {name: value for name, value in (("outcome", outcome), ("state", state)) if value}
        can_answer = _can_answer(row)
        return self._render(
            request,
            "eci/imports/import.html",
            title=f"{row.filename or row.import_id}: {row.kind.replace('_', ' ')}",
            row=row,
            seen=seen,
            is_under_way=row.status in UNDER_WAY,
            form=(form or AnswersForm(row)) if can_answer else None,
            missing=[one["question"] for one in row.questions if one["name"] == "mapping" and can_answer],
            commands=_commands(row),
            nothing=_nothing(row),
            is_open=row.status == Status.READY and bool(asking.open_questions(row)),
            tabs=_tabs(row, outcome, state),
            lines=[_shown(line) for line in lines[:SHOWN]],
            following=urlencode(query | {"after": lines[SHOWN - 1].position}) if len(lines) > SHOWN else "",
            as_file=f"/v1/imports/{row.import_id}/rows?{urlencode(query | {'format': 'csv'})}",
        )

    def _asked(self, request: HttpRequest, row: ImportRow) -> tuple[str, str]:
        """Which rows are shown: what went wrong first, where nobody asks for others."""
        outcome, state = request.GET.get("outcome"), request.GET.get("state", "")
        if outcome is None and not state:
            outcome = Outcome.REFUSED if row.counts.get(Outcome.REFUSED) else ""
        known = (*Outcome, "warned")
        return (str(outcome) if outcome in known else ""), (state if state in tuple(State) else "")

    def _page(self, row: ImportRow) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])

    def _render(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        shared = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "form_key": staff_forms.key_for(request),
            "media": self.media,
        }
        return TemplateResponse(request, template, shared | context)


def _can_answer(row: ImportRow) -> bool:
    return row.status in (Status.READY, Status.FAILED) and not row.applied_at and not row.pruned


def _nothing(row: ImportRow) -> str:
    """Why there is no button that applies it, though nothing is asked."""
    return "" if row.status != Status.READY or asking.open_questions(row) else asking.why_not_applied(row)


def _commands(row: ImportRow) -> list[Command]:
    counts = row.counts
    if row.status == Status.READY and not asking.open_questions(row) and not _nothing(row):
        writes = f"{counts.get(Outcome.NEW, 0)} new, {counts.get(Outcome.CHANGED, 0)} changed"
        stays = f"{counts.get(Outcome.REFUSED, 0)} refused rows stay out"
        return [Command(name="apply", title="Apply", says=f"This writes {writes}; {stays}.", asks=True)]
    if row.status == Status.APPLIED and not row.pruned:
        says = (
            "This takes back what the import did, but for what somebody has changed since. It can be done for 30 days."
        )
        return [Command(name="undo", title="Undo", says=says, asks=True)]
    return []


def _tabs(row: ImportRow, outcome: str, state: str) -> list[Tab]:
    counts = row.counts
    tabs = [Tab(name="all", count=None, query="outcome=", is_shown=not outcome and not state)]
    names = map(str, (Outcome.REFUSED, "warned", Outcome.CHANGED, Outcome.NEW, Outcome.SAME, Outcome.SKIPPED))
    tabs += [
        Tab(name=name, count=counts.get(name, 0), query=f"outcome={name}", is_shown=outcome == name) for name in names
    ]
    if counts.get("kept"):
        tabs.append(Tab(name="kept", count=counts["kept"], query="state=kept", is_shown=state == State.KEPT))
    return tabs


def _shown(line: ImportLineRow) -> dict[str, Any]:
    changes = [{"field": name, "old": old, "new": new} for name, (old, new) in line.changes.items()]
    return {"line": line.line, "key": line.key, "outcome": line.outcome, "changes": changes, "messages": line.messages}
