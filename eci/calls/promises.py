"""What a context promises to the others, as JSON: its calls, its errors and its events; and what a change breaks.

A change is additive if processes of before and after understand each other: either may be deployed first, and events
that wait in an outbox can still be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import getmodule
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter

from eci.calls import wire
from eci.errors import ContractError, EciError
from eci.events import Event

Schema = dict[str, Any]
_COMMENTS = ("title", "description", "default")


def promises(contract: type, events: ModuleType) -> dict[str, Any]:
    """``{calls: {name: {arguments, answer}}, errors: {name: code}, events: {name: payload}}``, each a JSON Schema."""
    calls = {
        name: {"arguments": _bare(method.arguments.model_json_schema()), "answer": _bare(method.answer.json_schema())}
        for name, method in sorted(wire.methods(contract).items())
    }
    errors = {
        kind.__name__: kind.code if issubclass(kind, EciError) else ""
        for kind in _classes(getmodule(contract), ContractError)
    }
    announced = {kind.NAME: kind for kind in _classes(events, Event) if "NAME" in vars(kind)}
    payloads = {name: _bare(TypeAdapter(kind).json_schema()) for name, kind in sorted(announced.items())}
    return {"calls": calls, "errors": dict(sorted(errors.items())), "events": payloads}


def broken(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A sentence for each promise of ``before`` that ``now`` does not keep."""
    found: list[str] = []
    for kind in ("calls", "errors", "events"):
        found += [f"{name} is gone." for name in before[kind] if name not in now[kind]]
    for name in before["calls"].keys() & now["calls"].keys():
        old, new = before["calls"][name], now["calls"][name]
        found += _Reading(old["arguments"], new["arguments"], whole=False).misread(f"{name}, arguments")
        found += _Reading(new["answer"], old["answer"], whole=True).misread(f"{name}, answer")
    for name in before["errors"].keys() & now["errors"].keys():
        if before["errors"][name] != now["errors"][name]:
            found.append(f"{name} has another code.")
    for name in before["events"].keys() & now["events"].keys():
        old, new = before["events"][name], now["events"][name]
        found += _Reading(new, old, whole=True).misread(f"{name}, read by a consumer of before")
        found += _Reading(old, new, whole=True).misread(f"{name}, written before and read now")
    return sorted(set(found))


def _classes(module: ModuleType | None, base: type) -> list[Any]:
    """Those that the module defines itself."""
    found = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, base)]
    return [kind for kind in found if module is not None and kind.__module__ == module.__name__]


def _bare(schema: Any) -> Any:
    """The schema without what only people read."""
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {key: _bare(value) for key, value in inner.items()} if name in ("properties", "$defs") else _bare(inner)
        for name, inner in schema.items()
        if name not in _COMMENTS
    }


class _Reading:
    """Whether whoever reads by one schema understands all that is written by another.

    ``whole``: the writer always writes all fields, as dataclasses are; otherwise only those that are required.
    """

    def __init__(self, written: Schema, read: Schema, *, whole: bool) -> None:
        self._written, self._read, self._whole = written, read, whole
        self._compared: set[tuple[str, str]] = set()

    def misread(self, where: str) -> list[str]:
        return list(self._compare(self._written, self._read, where))

    def _compare(self, written: Schema, read: Schema, where: str) -> Iterator[str]:
        pair = (written.get("$ref", ""), read.get("$ref", ""))
        if all(pair) and pair in self._compared:
            return
        self._compared.add(pair)
        written, read = _resolved(written, self._written), _resolved(read, self._read)
        if "anyOf" in written:
            for option in written["anyOf"]:
                yield from self._compare(option, read, where)
        elif "anyOf" in read:
            if all(list(self._compare(written, option, where)) for option in read["anyOf"]):
                yield f"{where}: {_kind(written)} is not understood."
        elif read.get("type", _kind(read)) != written.get("type", _kind(read)):
            yield f"{where}: {_kind(written)} instead of {_kind(read)}."
        elif "enum" in read or "const" in read:
            unknown = _values(written) - _values(read)
            if unknown or not _values(written):
                yield f"{where}: {', '.join(sorted(map(str, unknown))) or 'any value'} is not understood."
        elif "properties" in read:
            yield from self._compare_objects(written, read, where)
        else:
            yield from self._compare_parts(written, read, where)

    def _compare_objects(self, written: Schema, read: Schema, where: str) -> Iterator[str]:
        fields: Schema = written.get("properties", {})
        sent = set(fields) if self._whole else set(written.get("required", ()))
        for name in sorted(set(read.get("required", ())) - sent):
            yield f"{where}: {name} is needed, but not always there."
        for name in sorted(set(fields) & set(read["properties"])):
            yield from self._compare(fields[name], read["properties"][name], f"{where}: {name}")
        if read.get("additionalProperties") is False:
            for name in sorted(set(fields) - set(read["properties"])):
                yield f"{where}: {name} is not known any more."

    def _compare_parts(self, written: Schema, read: Schema, where: str) -> Iterator[str]:
        for name in ("items", "additionalProperties"):
            if isinstance(read.get(name), dict) and isinstance(written.get(name), dict):
                yield from self._compare(written[name], read[name], where)
        inner = ("items", "additionalProperties", "prefixItems", "enum", "const")
        for name in sorted((set(read) | set(written)) - {*inner, "properties", "required", "$defs"}):
            if read.get(name) != written.get(name):
                yield f"{where}: {name} is {written.get(name)} instead of {read.get(name)}."
        for old, new in zip(written.get("prefixItems", ()), read.get("prefixItems", ()), strict=False):
            yield from self._compare(old, new, where)


def _resolved(schema: Schema, whole: Schema) -> Schema:
    while "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _values(schema: Schema) -> set[Any]:
    return {schema["const"]} if "const" in schema else set(schema.get("enum", ()))


def _kind(schema: Schema) -> str:
    return str(schema.get("format") or schema.get("type") or "anything")
