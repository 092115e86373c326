"""Forms of staff's pages that carry the version they showed and a one-time key (docs/architecture.md, "Forms").

``once`` gives a form one effect, however often it is sent. ``ShownForm`` knows what a page showed, so that only what a
person changed is written; ``both`` shows a person what somebody else wrote meanwhile, field by field. ``OnceForm`` is
for forms beside a ModelAdmin.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.utils.crypto import constant_time_compare, salted_hmac

from eci import idempotency
from eci.db import run_in_unit_of_work, unit_of_work
from eci.errors import IdempotencyInProgress, InvalidRequest, PreconditionFailed
from eci.identity.auth import staff_name

FORM_KEY = "_form_key"
VERSION = "_version"
DAMAGED = (
    "This form is damaged, or it was made for another page. Nothing was done. Check what it says and send it again."
)
UNSEEN = "This form does not say which version its page showed."
REPEATED = "This form had been sent before. It was carried out once, as it was sent first."

Kept = int | str | None


class DamagedForm(InvalidRequest):
    """The form has no key, or one of another page."""


# -- the key ----------------------------------------------------------------------------------------------------------


def new_key(path: str) -> str:
    """A one-time key for a form that is sent to ``path``. It is good nowhere else."""
    nonce = secrets.token_hex(16)
    return nonce + _mark(nonce, path)


def key_for(request: HttpRequest) -> str:
    """The key of the form that the page shows: after a refusal the one that was sent, if it can be carried out."""
    return request.POST[FORM_KEY] if _has_key(request) else new_key(request.path)


def _mark(nonce: str, path: str) -> str:
    return salted_hmac("eci.staff_forms", f"{nonce} {path}", algorithm="sha256").hexdigest()[:32]


def _has_key(request: HttpRequest) -> bool:
    key = request.POST.get(FORM_KEY, "")
    return constant_time_compare(key[32:], _mark(key[:32], request.path))


def once(request: HttpRequest, context: str, action: str, function: Callable[[], Any]) -> Kept:
    """Carry out ``function`` in one transaction of ``context``, once for the form's key.

    Returns the id that ``function`` returned; of anything else, None. A repeated form returns the first one's id and
    does nothing, and ``is_repeated`` tells. A refusal changes nothing, and the form may be sent again.
    """
    key = key_of(request, action)
    if not _keeps_keys(context):
        return _kept(run_in_unit_of_work(context, function))

    def command() -> Kept:
        idempotency.claim(context, key)
        kept = _kept(function())
        answer = idempotency.Answer(status=200, body={"data": kept})
        idempotency.finish(context, key, answer, resource="" if kept is None else str(kept))
        return kept

    record = idempotency.find(context, key)
    if record is None:
        try:
            return run_in_unit_of_work(context, command)
        except IdempotencyInProgress:
            record = idempotency.find(context, key)
            if record is None:
                raise
    return _again(request, record)


def once_outside(request: HttpRequest, context: str, action: str, function: Callable[[], Any]) -> bool:
    """As ``once``, for what calls out or takes several transactions: the key is taken before it begins. Whether it was
    carried out now, and not before. If it raises, the key stays taken, and the page has to be opened again."""
    key = key_of(request, action)
    try:
        with unit_of_work(context):
            idempotency.claim(context, key)
    except IdempotencyInProgress:
        request.form_is_repeated = True  # type: ignore[attr-defined]
        return False
    function()
    idempotency.finish(context, key, idempotency.Answer(status=200, body={"data": None}))
    return True


def key_of(request: HttpRequest, action: str) -> idempotency.Key:
    """The form's key for one of its effects. DamagedForm without one that was made for this page.

    It does not depend on the form's values. So a form that was sent, then corrected in the browser's history and sent
    again, is answered as one that had been sent before.
    """
    if not _has_key(request):
        raise DamagedForm(DAMAGED)
    return idempotency.Key(
        scope=_scope(request) + action, key=request.POST[FORM_KEY], fingerprint=idempotency.fingerprint(action)
    )


def sent_before(request: HttpRequest, context: str) -> Kept | bool:
    """Whether this form was carried out before: False, or the id that was kept (True where there is none).

    Call it before a form is validated: what it made may be what makes it invalid now. DamagedForm without a key.
    """
    key = key_of(request, "")
    if not _keeps_keys(context):
        return False
    records = apps.get_model(context, "Idempotency")._default_manager
    record = records.filter(scope__startswith=key.scope, key=key.key).exclude(status=None).first()
    if record is None:
        return False
    kept = _again(request, record)
    return True if kept is None else kept


def is_repeated(request: HttpRequest) -> bool:
    return getattr(request, "form_is_repeated", False)


def _again(request: HttpRequest, record: idempotency.IdempotencyRecord) -> Kept:
    answer = idempotency.answer_of(record)
    if answer is None:
        raise IdempotencyInProgress("This form is just being carried out.")
    request.form_is_repeated = True  # type: ignore[attr-defined]
    return _kept(answer.body.get("data"))


def _scope(request: HttpRequest) -> str:
    return f"{staff_name(request.user)}:admin."


def _keeps_keys(context: str) -> bool:
    return "idempotency" in apps.all_models.get(context, {})


def _kept(result: Any) -> Kept:
    """Ids only: answers are kept for days, and what is about a person would have to be erased there too."""
    return result if isinstance(result, int | str) else None


# -- the version ------------------------------------------------------------------------------------------------------


def seen_version(request: HttpRequest) -> int:
    """The version of the row that the form's page showed. PreconditionFailed for a form that does not say."""
    return version_in(request.POST.get(VERSION, ""))


def version_in(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise PreconditionFailed(UNSEEN)
    return int(text)


class ShownForm(forms.BaseForm):
    """Mixed into a ModelAdmin's form. It carries the values that it showed, as hidden fields, and ``changed_data``
    compares with those: what somebody else changed meanwhile is no change of this person.

    ``refusal``: why a service refused the form, in one sentence.
    """

    refusal = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = not field.disabled and (not self.is_bound or VERSION in self.data)
        focus_first(self)

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and self.refusal:
            self.add_error(None, self.refusal)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field in which the row as it is now differs from the form. ``take``: what stands in the form now."""

    name: str
    label: str
    theirs: str
    yours: str
    take: str
    yours_values: list[str]


def both(sent: forms.BaseForm, now: forms.BaseForm, post: QueryDict) -> tuple[QueryDict, list[Difference]]:
    """The form to show again, as if the person had seen the row as it is now, and where that differs from the form.

    ``sent``: the form as it was sent. ``now``: the same form, unbound, of the row as it is now. What the person
    changed stands in the form; anything else is as it is now.
    """
    again, differences = post.copy(), []
    for name, field in now.fields.items():
        if isinstance(field.widget, forms.MultiWidget) or field.disabled:
            continue
        hidden = field.hidden_widget()
        theirs = _values(hidden, now[name].value())
        yours = _values(hidden, sent[name].data)
        again.setlist(now.add_initial_prefix(name), theirs)
        is_mine = name in sent.changed_data
        if not is_mine:
            again.setlist(name, theirs)
        in_words = [_words(field, value) for value in (now[name].value(), sent[name].data)]
        if field.has_changed(now[name].initial, sent[name].data) and in_words[0] != in_words[1]:
            differences.append(
                Difference(
                    name=name,
                    label=str(now[name].label),
                    theirs=in_words[0],
                    yours=in_words[1],
                    take="yours" if is_mine else "theirs",
                    yours_values=yours,
                )
            )
    return again, differences


def taken(post: QueryDict) -> QueryDict:
    """The form as its person wants it: a choice between theirs and yours that was changed decides over the field."""
    chosen = post.copy()
    for key in list(post):
        name = key.removeprefix("_take-")
        take = str(post[key])
        if name != key and take != post.get(f"_took-{name}"):
            source = {"theirs": f"initial-{name}", "yours": f"_yours-{name}"}.get(take, name)
            chosen.setlist(name, post.getlist(source))
    return chosen


def _values(hidden: forms.Widget, value: Any) -> list[str]:
    shown = hidden.format_value(value)
    if isinstance(shown, list | tuple):
        return [str(one) for one in shown]
    return ["" if shown is None else str(shown)]


def _words(field: forms.Field, value: Any) -> str:
    with contextlib.suppress(ValidationError):
        value = field.to_python(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(field, forms.ChoiceField) and not isinstance(field, forms.ModelChoiceField):
        value = dict(field.choices).get(value, value)  # type: ignore[arg-type]
    if not isinstance(value, str) and isinstance(value, Iterable) and not isinstance(value, Mapping):
        value = ", ".join(map(str, value))
    return "(empty)" if value in (None, "") else str(value).replace("\r\n", "\n")


def focus_first(form: forms.BaseForm) -> None:
    """Whoever opens the page may type at once."""
    for field in form.fields.values():
        if not field.disabled and not field.widget.is_hidden:
            field.widget.attrs["autofocus"] = True
            return


# -- forms beside a ModelAdmin ----------------------------------------------------------------------------------------


class OnceForm(forms.Form):
    """A form of a page that has a one-time key (``form_key``). In hidden fields it has the versions of ``rows``, which
    are given as primary key and version of each, as its page showed them.

    The view calls ``once`` and, before it validates, ``sent_before``.
    """

    def __init__(self, *args: Any, rows: Mapping[Any, int] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for pk, version in (rows or {}).items():
            self.fields[f"{VERSION}-{pk}"] = forms.CharField(required=False, initial=version, widget=forms.HiddenInput)

    def seen_version(self, pk: Any) -> int:
        """The version of the row that the page showed. PreconditionFailed for a form that does not say."""
        return version_in(self.data.get(f"{VERSION}-{pk}", ""))
