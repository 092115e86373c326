"""Pages as a browser reads them: a form's fields with what it would send untouched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from eci import staff_forms


@dataclass
class Form:
    """``fields``: by name, what is sent when the form is sent as it stands. ``kinds``: the type of each control;
    ``choices``: the values that a select or radio offers."""

    method: str = "get"
    action: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    buttons: dict[str, list[str]] = field(default_factory=dict)

    def __or__(self, typed: dict[str, Any]) -> Form:
        return Form(self.method, self.action, self.fields | typed, self.kinds, self.choices, self.buttons)

    def visible(self) -> Iterator[str]:
        """The fields that a person can change."""
        return (name for name, kind in self.kinds.items() if kind != "hidden" and not name.startswith("_"))


def forms_in(page: str) -> list[Form]:
    reader = _Reader()
    reader.feed(page)
    return reader.forms


def form_in(page: str, *, having: str) -> Form:
    """The one form that has this field."""
    [found] = [form for form in forms_in(page) if having in form.kinds and form.method == "post"]
    return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._area: str | None = None
        self._select: str | None = None
        self._multiple = False
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: "" if value is None else value for name, value in attrs}
        if tag == "form":
            self._open = Form(given.get("method", "get").lower(), given.get("action", ""))
            self.forms.append(self._open)
        form, name = self._open, given.get("name", "")
        if form is None or "disabled" in given:
            return
        if tag == "option" and self._select:
            form.choices[self._select].append(given.get("value", ""))
            if "selected" in given:
                self._add(self._select, given.get("value", ""), several=self._multiple)
            return
        if not name:
            return
        if tag == "input":
            self._input(form, name, given)
        elif tag == "button":
            form.buttons.setdefault(name, []).append(given.get("value", ""))
        elif tag == "textarea":
            form.kinds[name], self._area, self._text = "textarea", name, ""
        elif tag == "select":
            self._select, self._multiple = name, "multiple" in given
            form.kinds[name] = "multiple" if self._multiple else "select"
            form.choices[name] = []

    def _input(self, form: Form, name: str, given: dict[str, str]) -> None:
        kind = given.get("type", "text")
        if kind == "submit":
            form.buttons.setdefault(name, []).append(given.get("value", ""))
            return
        form.kinds[name] = kind
        if kind in ("checkbox", "radio"):
            form.choices.setdefault(name, []).append(given.get("value", "on"))
            if "checked" in given:
                self._add(name, given.get("value", "on"), several=kind == "checkbox" and name in form.fields)
        else:
            self._add(name, given.get("value", ""), several=name in form.fields)

    def _add(self, name: str, value: str, *, several: bool) -> None:
        assert self._open is not None
        value = value.replace("\r\n", "\n").replace("\n", "\r\n")
        if several:
            before = self._open.fields.get(name, [])
            self._open.fields[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            self._open.fields[name] = value

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            self._add(self._area, self._text.removeprefix("\n"), several=False)
            self._area = None
        elif tag == "select" and self._select and self._open:
            if self._select not in self._open.fields and not self._multiple and self._open.choices[self._select]:
                self._open.fields[self._select] = self._open.choices[self._select][0]
            self._select = None
        elif tag == "form":
            self._open = None


class Browser(Client):
    """A client that opens staff's page before it sends a form there, so that the form has what the page hides in it:
    key, version and what it showed. What a test gives stands."""

    def post(self, path: str, data: Any = None, *args: Any, **kwargs: Any) -> Any:
        if (
            path.startswith(("/admin/", "/staff/"))
            and isinstance(data, dict | None)
            and not (data or {}).get("_form_key")
        ):
            page = self.get(path if path.startswith("/admin/") else "/staff/reconcile")
            hidden = {
                name: value
                for form in forms_in(page.content.decode())
                if form.action in ("", path)
                for name, value in form.fields.items()
                if name.startswith(("_form_key", "_version", "_shown-", "initial-"))
            }
            if page.status_code != 200:  # refused, or asked who it is: the form was opened before that
                hidden[staff_forms.FORM_KEY] = staff_forms.new_key(path)
            data = hidden | (data or {})
        return super().post(path, data, *args, **kwargs)
