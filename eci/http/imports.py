"""Imports over HTTP, the same for every context that has kinds of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from eci import idempotency, money, text
from eci.clock import iso
from eci.db import run_in_unit_of_work
from eci.errors import InvalidRequest
from eci.http import commands
from eci.http.browsable import BrowsableRenderer
from eci.http.commands import Resumable
from eci.http.downloads import CSV, CsvRenderer, download
from eci.http.envelope import EnvelopeRenderer
from eci.http.fields import TextField
from eci.http.paging import QuerySerializer, page
from eci.http.parsers import FormDecoder
from eci.http.views import ApiView
from eci.idempotency import Key
from eci.identity.roles import Role, only
from eci.imports import asking, mapping, uploads
from eci.imports.decoding import DELIMITERS, is_encoding
from eci.imports.kinds import Field, Kind, kind_named
from eci.imports.reading import CLEAR, LEAVE
from eci.imports.rows import ImportLineRow, ImportRow, Outcome, State
from eci.imports.values import bare, guarded


class OptionsIn(serializers.Serializer[Any]):
    """What a file cannot say. ``options`` also name the column of a field that several columns may be."""

    encoding = TextField(required=False, max_length=40)
    delimiter = TextField(required=False, max_length=10, trim_whitespace=False)
    decimal = serializers.ChoiceField(choices=[".", ","], required=False)
    sheet = TextField(required=False, max_length=100)
    header_row = serializers.IntegerField(required=False, min_value=1, max_value=1_000)
    blank = serializers.JSONField(required=False)
    currency = TextField(required=False, max_length=3)

    def validate_blank(self, said: Any) -> Any:
        each = list(said.values()) if isinstance(said, dict) else [said]
        if not all(isinstance(one, str) and one in (LEAVE, CLEAR) for one in each):
            raise serializers.ValidationError(f"A blank cell means {LEAVE} or {CLEAR}, for all fields or for each.")
        return said

    def validate_encoding(self, name: str) -> str:
        if not is_encoding(name):
            raise serializers.ValidationError("There is no such encoding.")
        return name

    def validate_delimiter(self, given: str) -> str:
        named = {word: character for character, word in DELIMITERS.items()}
        if given not in DELIMITERS and given not in named:
            raise serializers.ValidationError(f"A delimiter is one of {', '.join(named)}.")
        return named.get(given, given)

    def validate_currency(self, code: str) -> str:
        if not money.is_currency(code):
            raise serializers.ValidationError("There is no such currency.")
        return code


class ImportAnswersIn(serializers.Serializer[Any]):
    mapping = serializers.JSONField(
        required=False, decoder=FormDecoder, help_text="Column name: field, or null to leave the column out."
    )
    options = serializers.JSONField(
        required=False, decoder=FormDecoder, help_text="Answers, by the names of the questions."
    )
    kind = TextField(max_length=30, required=False)

    def validate_mapping(self, given: Any) -> dict[str, Any]:
        if not isinstance(given, dict) or not all(one is None or isinstance(one, str) for one in given.values()):
            raise serializers.ValidationError("A mapping is an object: column name: field.")
        return given

    def validate_options(self, given: Any) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise serializers.ValidationError("Options are an object.")
        return given


class ImportIn(ImportAnswersIn):
    file = serializers.FileField(allow_empty_file=True, help_text="CSV, text with tabs, or XLSX; at most 100 MB.")


class ImportOut(serializers.Serializer[Any]):
    import_id = serializers.CharField()
    kind = serializers.CharField()
    status = serializers.CharField(help_text="READING, READY, APPLYING, APPLIED, UNDOING, UNDONE or FAILED.")
    detected = serializers.DictField()
    mapping = serializers.DictField()
    questions = serializers.ListField(child=serializers.DictField())
    notes = serializers.ListField(child=serializers.CharField())
    counts = serializers.DictField(child=serializers.IntegerField())
    progress = serializers.DictField()
    error = serializers.CharField(allow_null=True)
    file = serializers.DictField()
    actor = serializers.CharField()
    created_at = serializers.DateTimeField()
    applied_at = serializers.DateTimeField(allow_null=True)
    undone_at = serializers.DateTimeField(allow_null=True)


class ImportRowOut(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    outcome = serializers.CharField()
    state = serializers.CharField()
    key = serializers.CharField()
    changes = serializers.DictField()
    messages = serializers.ListField(child=serializers.CharField())


class ImportRowQuery(QuerySerializer):
    outcome = serializers.ChoiceField(choices=[*(one.value for one in Outcome), "warned"], required=False)
    state = serializers.ChoiceField(choices=[one.value for one in State], required=False)


def presented(row: ImportRow) -> dict[str, Any]:
    done, total = row.done, row.row_count
    return {
        "import_id": row.import_id,
        "kind": row.kind,
        "status": row.status,
        "detected": row.detected,
        "mapping": row.detected.get("mapping") or row.given.get("mapping") or {},
        "questions": row.questions,
        "notes": row.notes,
        "counts": dict.fromkeys([*(one.value for one in Outcome), "warned"], 0) | row.counts,
        "progress": {"done": done, "total": total, "percent": 100 * done // total if total else 0},
        "error": row.error or None,
        "file": {"name": row.filename, "size": row.size},
        "actor": row.actor,
        "created_at": iso(row.created_at),
        "applied_at": iso(row.applied_at),
        "undone_at": iso(row.undone_at),
    }


def _row(line: ImportLineRow) -> dict[str, Any]:
    return {
        "line": line.line,
        "outcome": line.outcome,
        "state": line.state,
        "key": line.key,
        "changes": line.changes,
        "messages": line.messages,
    }


class _Upload(MultiPartParser):
    """A form with a file, of a size of its own."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        request = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > uploads.LIMIT + uploads.ROOM:
            raise RequestDataTooBig
        parsed = super().parse(stream, media_type, parser_context)
        for name in {*parsed.data, *parsed.files}:
            if len(parsed.data.getlist(name)) + len(parsed.files.getlist(name)) > 1:
                raise ParseError(f"The form gives {name[:60]!r} twice.")
        return parsed


class ImportView(ApiView):
    """The base of views of one import. One that another process has is redirected to the path that leads there."""

    tag: ClassVar[str] = "catalog"  # in /docs: where the gateway sends these paths
    roles = only(Role.CATALOG, Role.STOCK, Role.SUPPORT)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        context = str(kwargs.get("import_id", "")).rpartition("-")[0]
        return _elsewhere(request, context) or super().dispatch(request, *args, **kwargs)

    def found(self, import_id: str) -> ImportRow:
        """NotFound; PermissionDenied for a caller who may not have imports of its kind."""
        row = asking.find(import_id)
        self.require(kind_named(row.kind))
        return row

    def require(self, kind: Kind) -> None:
        if not self.caller.may(kind.roles):
            raise PermissionDenied

    def carried_out(
        self, row: ImportRow, endpoint: str, asked: dict[str, Any], act: Callable[[ImportRow], ImportRow]
    ) -> Response:
        """Answer a command on the import, once per key. It is a 202, whose replay says how things are now."""
        key = self.idempotency_key(endpoint, asked)
        context = row._meta.app_label

        def begin() -> ImportRow:
            if key:
                idempotency.claim(context, key, resource=row.import_id)
            return act(row)

        return _answered(context, key, lambda: run_in_unit_of_work(context, begin))


_PREFIX = re.compile(r"^/api/v1/[a-z]+(?=/v1/)")  # of another context, by which the caller may have come


def _elsewhere(request: Any, context: str | None) -> HttpResponseBase | None:
    """To the path of the context's own, where another process hosts it; the gateway knows that path."""
    if context not in settings.ECI_IMPORTS.values() or context in settings.ECI_CONTEXTS:
        return None
    path = _PREFIX.sub("", request.get_full_path())
    return HttpResponse(status=307, headers={"Location": f"/api/v1/{context}{path}"})


def _answered(context: str, key: Key | None, begin: Callable[[], ImportRow]) -> Response:
    command = Resumable(
        begin=begin,
        carry_out=lambda row: row,
        resume=lambda key, resource: asking.find(resource) if resource else None,
        answer=lambda row: (202, presented(row)),
    )
    return commands.resumable(context, key, command)


class ImportListView(ImportView):
    """``kinds``: those that the path takes; the first one unless the body names another."""

    kinds: ClassVar[tuple[str, ...]] = ()
    body_serializers = {"POST": ImportIn}
    parser_classes = [_Upload]
    refusals = {"POST": {"413": "The file is larger than 100 MB"}}

    @extend_schema(responses={202: ImportOut})
    def post(self, request: Request) -> HttpResponseBase:
        """Read a file of `kind`: products, prices, stock_counts, receipts or customers. Nothing is applied: the answer
        is the import, which the worker reads. Ask for it until it is READY, answer its `questions` with a PATCH, look
        at its rows, then apply it."""
        body = self.body()
        if away := _elsewhere(request, settings.ECI_IMPORTS.get(body.get("kind", ""))):
            return away
        kind = self._kind(body.get("kind", ""))
        self.require(kind)
        given = {
            "mapping": mapping_of(kind, body.get("mapping") or {}),
            "options": options_of(kind, body.get("options") or {}),
        }
        file = body["file"]
        if file.size > uploads.LIMIT:
            raise RequestDataTooBig
        asked = given | {"kind": kind.name, "file": uploads.digest(file), "name": file.name}
        key = self.idempotency_key(f"{kind.context}.import", asked)
        name = file_name(file.name)
        begin = partial(asking.begin, kind, file, filename=name, given=given, actor=self.caller.name, key=key)
        return _answered(kind.context, key, begin)

    def _kind(self, name: str) -> Kind:
        if not name and not self.kinds:
            raise InvalidRequest("kind: This field is required.", kind=["This field is required."])
        if name and self.kinds and name not in self.kinds:
            sentence = f"Here it is one of {', '.join(self.kinds)}."
            raise InvalidRequest(f"kind: {sentence}", kind=[sentence])
        return kind_named(name or self.kinds[0])


def file_name(name: str | None) -> str:
    shown = "".join(character for character in name or "" if character.isprintable())
    return shown.rpartition("/")[2].rpartition("\\")[2][:255]


def mapping_of(kind: Kind, given: dict[str, str | None]) -> dict[str, str | None]:
    """The mapping, checked. InvalidRequest for a field that there is not, or that is said of several columns."""
    fields = [one.name for one in kind.fields]
    said = [one for one in given.values() if one]
    for name in said:
        sentence = ""
        if name not in fields:
            sentence = f"The mapping names a field {name[:60]!r}. Fields: {', '.join(fields)}."
        elif said.count(name) > 1:
            several = ", ".join(repr(column[:60]) for column, one in given.items() if one == name)
            sentence = f"{name} is one column, and not several: {several}."
        if sentence:
            raise InvalidRequest(f"mapping: {sentence}", mapping=[sentence])
    return given


_SHAPE = {"encoding", "delimiter", "sheet", "header_row"}  # with others the file has other columns


def options_of(kind: Kind, given: dict[str, Any], row: ImportRow | None = None) -> dict[str, Any]:
    """The options, checked. InvalidRequest for one that neither the kernel nor the kind knows, or that names no column
    of the import, as it was read."""
    asked = {one.name for one in kind.fields if one.ask}
    own = asked | set(kind.options)
    own -= set(OptionsIn().fields)
    unknown = sorted(set(given) - own - set(OptionsIn().fields))
    if unknown:
        sentence = f"There is no option {unknown[0][:60]!r}."
        raise InvalidRequest(f"options: {sentence}", options=[sentence])
    checked = OptionsIn(data={name: value for name, value in given.items() if name not in own})
    if not checked.is_valid():
        raise serializers.ValidationError({"options": checked.errors})
    said = checked.validated_data.get("blank")
    if isinstance(said, dict) and (others := sorted(set(said) - set(kind.clearable()))):
        sentence = f"{others[0][:60]!r} cannot be cleared. Fields that can: {', '.join(kind.clearable()) or 'none'}."
        raise InvalidRequest(f"options: {sentence}", options=[sentence])
    for name in own & set(given):
        if sentence := _why_not(name, given[name], kind):
            raise InvalidRequest(f"options: {sentence}", options=[sentence])
        columns = row.detected.get("columns", []) if row and not _SHAPE & set(given) else []
        if name in asked and columns and given[name] not in columns:
            sentence = mapping.no_column(name, given[name], columns)
            raise InvalidRequest(sentence, options=[sentence])
    return dict(checked.validated_data) | {name: given[name] for name in own & set(given)}


def _why_not(name: str, said: Any, kind: Kind) -> str:
    """Why an option of the kind's own cannot be this; empty if it can."""
    if name in kind.maps:
        is_map = isinstance(said, dict) and all(isinstance(one, str) for one in said.values())
        return "" if is_map else f"{name} is an object of texts."
    allowed = kind.options.get(name)
    if allowed:
        return "" if isinstance(said, str) and said in allowed else f"{name} is one of {', '.join(allowed)}."
    return "" if isinstance(said, str) else f"{name} is a text."


class ImportDetailView(ImportView):
    body_serializers = {"PATCH": ImportAnswersIn}
    keyed_methods = ("PATCH",)

    @extend_schema(responses=ImportOut)
    def get(self, request: Request, import_id: str) -> Response:
        """The import as it is now, with its progress."""
        return Response(presented(self.found(import_id)))

    @extend_schema(responses={202: ImportOut})
    def patch(self, request: Request, import_id: str) -> Response:
        """Answer questions: the file is read again, with these options and this mapping beside the earlier ones."""
        body = self.body()
        row = self.found(import_id)
        kind = kind_named(row.kind)
        if body.get("kind", kind.name) != kind.name:
            sentence = f"This import stays one of {kind.name}. Send the file again for another kind."
            raise InvalidRequest(f"kind: {sentence}", kind=[sentence])
        columns, options = mapping_of(kind, body.get("mapping") or {}), options_of(kind, body.get("options") or {}, row)
        answer = partial(asking.answer, mapping=columns, options=options)
        return self.carried_out(row, "imports.answer", {"mapping": columns, "options": options}, answer)


class ImportApplyView(ImportView):
    @extend_schema(responses={202: ImportOut})
    def post(self, request: Request, import_id: str) -> Response:
        """Write what the rows say. The worker does it in pieces, and goes on after a crash; refused rows stay out."""
        return self.carried_out(self.found(import_id), "imports.apply", {}, self._apply)

    def _apply(self, row: ImportRow) -> ImportRow:
        try:
            return asking.apply(row, actor=self.caller.name)
        except asking.QuestionsOpen as refusal:
            how = "PATCH the import with the answers as options."
            raise asking.QuestionsOpen(f"{refusal.message} {how}", **refusal.details) from None


class ImportUndoView(ImportView):
    @extend_schema(responses={202: ImportOut})
    def post(self, request: Request, import_id: str) -> Response:
        """Take back what the import did, within 30 days, where nobody has changed it since. Rows whose `state` is then
        `kept` say why they stay as they are."""
        act = partial(asking.undo, actor=self.caller.name)
        return self.carried_out(self.found(import_id), "imports.undo", {}, act)


class ImportRowListView(ImportView):
    query_serializer = ImportRowQuery
    renderer_classes = [EnvelopeRenderer, CsvRenderer, BrowsableRenderer]

    @extend_schema(responses=ImportRowOut(many=True))
    def get(self, request: Request, import_id: str) -> HttpResponseBase:
        """The rows of the file with their outcome: new, changed, same, refused or skipped; or those that are warned
        about. With `format=csv` all of them come as a file, in the columns that they had, with one that says why."""
        row = self.found(import_id)
        wanted = {name: self.query.get(name, "") for name in ("outcome", "state")}
        if request.query_params.get("format") == CSV:
            return download(CSV, f"{row.kind}-{row.import_id}-rows", _header(row), _as_in_file(row, **wanted))
        paging = self.paging(default="position")
        rows = asking.rows(paging, row, **wanted)
        return page(request, paging, rows, position=lambda line: (line.position, line.pk), present=_row)


_WHY = ["line", "why"]
_NEGATIVE = re.compile(r"-[0-9][0-9.,]*")


def _header(row: ImportRow) -> list[str]:
    """That of the file, of which such columns are ours if it was such a file before."""
    columns = mapping.as_sent(row.detected.get("columns", []))
    return [*map(guarded, columns[:-2] if columns[-2:] == _WHY else columns), *_WHY]


def _as_in_file(row: ImportRow, *, outcome: str, state: str) -> Iterator[list[str]]:
    """Rows whose cells are kept stand as they stood, with what stood beyond the header at their end; others as they
    were understood, with the file's decimal sign."""
    kind = kind_named(row.kind)
    columns = row.detected.get("columns", [])
    fields = [kind.field_named(row.detected["mapping"].get(column) or "") for column in columns]
    decimal = row.detected.get("decimal", ".")
    width = len(columns) - 2 if columns[-2:] == _WHY else len(columns)
    for line in asking.all_rows(row, outcome=outcome, state=state):
        cells = line.cells
        if cells is None:
            cells = [_written(line.values.get(one.name), one, decimal) if one else "" for one in fields]
        cells += [""] * (len(columns) - len(cells))
        said = [str(line.line), guarded(" ".join(line.messages))]
        yield [*map(_as_it_was, cells[:width]), *said, *map(_as_it_was, cells[len(columns) :])]


def _written(value: Any, field: Field, decimal: str) -> str:
    """What a row was understood to say, as its file would."""
    shown = "" if value is None else str(value)
    return shown.replace(".", decimal) if field.is_number else shown


def _as_it_was(cell: str) -> str:
    """The cell as it stood, unless a spreadsheet would take it for a formula."""
    safe = guarded(bare(cell))
    return cell if safe == text.trim(cell) or _NEGATIVE.fullmatch(cell) else safe
