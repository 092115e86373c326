"""A contract's calls as JSON: arguments, answers and errors, read and written from its annotations alone."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import Parameter, getmodule, signature
from types import ModuleType
from typing import Any, get_args, get_origin, get_type_hints

from django.core.serializers.json import DjangoJSONEncoder
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from eci import errors
from eci.errors import ContractError, EciError

Malformed = ValidationError
"""The other side sent something that is not in the contract."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method of a contract. ``lists``: its parameters that take any iterable; they travel as lists."""

    arguments: type[BaseModel]
    answer: TypeAdapter[Any]
    lists: frozenset[str]

    def write_arguments(self, given: Mapping[str, Any]) -> bytes:
        plain = {name: list(value) if name in self.lists else value for name, value in given.items()}
        return self.arguments.model_construct(None, **plain).model_dump_json(exclude_unset=True).encode()

    def read_arguments(self, body: bytes) -> dict[str, Any]:
        """Malformed, also for a parameter that the method does not have: part of a newer call must not be ignored."""
        read = self.arguments.model_validate_json(body, strict=True)
        return {name: getattr(read, name) for name in read.model_fields_set}

    def write_answer(self, answer: Any) -> bytes:
        return self.answer.dump_json(answer)

    def read_answer(self, body: bytes) -> Any:
        """Malformed. Unknown fields of a newer context are left out."""
        return self.answer.validate_json(body, strict=True)


@functools.cache
def methods(contract: type) -> dict[str, Method]:
    """Every method of the contract, by name. No others can be called."""
    names: frozenset[str] = contract.__abstractmethods__  # type: ignore[attr-defined]
    return {name: _method(getattr(contract, name)) for name in names}


def _method(function: Any) -> Method:
    hints = get_type_hints(function)
    answer = hints.pop("return")
    lists = frozenset(name for name, hint in hints.items() if get_origin(hint) is Iterable)
    fields: dict[str, Any] = {}
    for name, hint in hints.items():
        kind = list[get_args(hint)[0]] if name in lists else hint  # type: ignore[misc]
        default = signature(function).parameters[name].default
        fields[name] = (kind, ... if default is Parameter.empty else default)
    arguments = create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields)
    return Method(arguments=arguments, answer=TypeAdapter(answer), lists=lists)


# -- errors -----------------------------------------------------------------------------------------------------------


def write_error(error: ContractError) -> bytes:
    """``kinds``: its class and those it derives from, nearest first; a reader takes the first one it knows."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, ContractError)]
    written: dict[str, Any] = {"kinds": kinds, "message": error.message, "details": error.details}
    if isinstance(error, EciError):
        written |= {"status": error.status, "code": error.code, "retry_after": getattr(error, "retry_after", None)}
    return json.dumps(written, cls=DjangoJSONEncoder).encode()


def read_error(body: bytes, contract: type) -> ContractError:
    """The error as its own class where the contract or the kernel has it. Malformed."""
    read = _ERROR.validate_json(body)
    known = _errors(errors) | _errors(getmodule(contract))
    kind = next((known[name] for name in read.kinds if name in known), EciError)
    if issubclass(kind, EciError) and kind.code != read.code:
        # Only the other side has this class. What clients are answered must not depend on that.
        kind = type(read.kinds[0], (kind,), {"status": read.status, "code": read.code})
    error = kind(read.message, **read.details)
    if read.retry_after is not None:
        error.retry_after = read.retry_after  # type: ignore[attr-defined]
    return error


@dataclass(frozen=True, kw_only=True)
class _Error:
    """``status`` and ``code`` are a refusal's; an ``Unfinished`` has none."""

    kinds: list[str]
    message: str
    details: dict[str, Any]
    status: int = EciError.status
    code: str = EciError.code
    retry_after: int | None = None


_ERROR = TypeAdapter(_Error)


def _errors(module: ModuleType | None) -> dict[str, type[ContractError]]:
    found = vars(module).values() if module else ()
    return {kind.__name__: kind for kind in found if isinstance(kind, type) and issubclass(kind, ContractError)}
