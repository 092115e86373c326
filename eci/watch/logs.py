"""Logs: one JSON object a line, on standard error, with the fields of a list and no others.

Names, addresses and secrets get into logs in ways that nobody expects: in an exception's message, in an argument of a
library, in a URL with a token. Therefore:

- Only fields on the list are written.
- An exception is written as its type and its stack, without its message.
- Of a library's message only the constant part is written.
- The rest is searched for e-mail addresses, tokens and card numbers, which are replaced.
"""

from __future__ import annotations

import json
import logging
import os
import re
import traceback
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import structlog

from eci.clock import utcnow
from eci.watch import tracing

_ALLOWED = frozenset(
    (
        *("timestamp", "level", "logger", "event", "request_id", "trace_id", "span_id", "task", "exception"),
        *("method", "route", "status", "ms", "caller"),
        *("kind", "error", "step", "outcome", "item", "actor", "subject", "suspicion"),
        *("context", "consumer", "event_name", "attempts"),
        *("id", "order_id", "return_id", "payment_id", "notification_id"),
        "checkpoint",
    )
)
# The messages of these loggers are written whole: our own are constant, and the others report connections, not people.
_TRUSTED = ("eci", "contexts", "config", "psycopg.pool", "celery.beat", "celery.worker.consumer", "kombu")

_MARKS = {
    "[e-mail]": re.compile(r"[^\s@<>\"'(),;:=]+@[^\s@<>\"'(),;:]+"),
    "[token]": re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+|(?i:\bbearer )[^\s,;\"']+"),
    "[number]": re.compile(r"(?<![0-9A-Za-z-])[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z])"),
}
_WORDS = ("level", "logger", "event", "method", "route", "caller")  # of which there are few
_LETTER = re.compile(r"[^\W\d_]")


def scrubbed(text: str) -> str:
    """The text without e-mail addresses, access tokens, and numbers that are as long as a card's."""
    for mark, pattern in _MARKS.items():
        text = pattern.sub(mark, text)
    return text


_scrubbed_word = lru_cache(1024)(scrubbed)


def constant_part(logger: Any, method: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Cut a library's message down to where it may begin to hold values.

    Some begin at once, as Django's ``"%s: %s"``, or are no text, as an exception. Then the event is the place in the
    library's code.
    """
    record = entry["_record"]
    trusted = any(record.name == one or record.name.startswith(f"{one}.") for one in _TRUSTED)
    if not (entry["_from_structlog"] or trusted):
        constant = re.split("[:={%\n]", record.msg, maxsplit=1)[0].strip() if isinstance(record.msg, str) else ""
        entry["event"] = constant if _LETTER.search(constant) else f"{record.module}.{record.funcName}"
    return entry


def only_allowed(logger: Any, method: str, entry: dict[str, Any]) -> dict[str, Any]:
    return {name: _clean(name, value) for name, value in entry.items() if name in _ALLOWED}


def _clean(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, list):
        return [_clean(name, inner) for inner in value]
    if name == "timestamp":
        return str(value)
    return _scrubbed_word(value) if name in _WORDS and isinstance(value, str) else scrubbed(str(value))


def places(exc_info: Any) -> list[str]:
    """An exception and its causes: types, the codes of database or system, and stacks, without messages."""
    return [line for error in _chain(exc_info[1]) for line in _described(error)]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _described(error: BaseException) -> Iterator[str]:
    code = next(filter(None, (getattr(error, name, None) for name in ("sqlstate", "sqlite_errorname", "errno"))), None)
    if code is None and error.args and isinstance(error.args[0], int):
        code = error.args[0]
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    yield kind if code is None else f"{kind} ({code})"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} {frame.name}"


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not what a library says of one request, without its id: of a 5xx our access line has it all, and anybody can send
    what is no HTTP. An exception that nobody has caught is worth it."""
    message = str(record.msg)
    told = record.name == "django.request" or message.startswith("Invalid request from ip=")
    return bool(record.exc_info) or not told


def in_trace(logger: Any, method: str, entry: dict[str, Any]) -> dict[str, Any]:
    return entry | tracing.ids()


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    in_trace,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class Lines(structlog.stdlib.ProcessorFormatter):
    """structlog's formatter copies each record and passes it from one processor to the next. On a line of our own
    without an exception only two of these do something."""

    def format(self, record: logging.LogRecord) -> str:
        if getattr(record, "_name", None) and isinstance(record.msg, dict) and "exc_info" not in record.msg:
            return _as_json(only_allowed(None, "", record.msg))
        return super().format(record)


_as_json = json.JSONEncoder().encode


def tell(logger: logging.Logger, event: str, **fields: Any) -> None:
    """As ``info`` of structlog's loggers, quicker: for the line that every request has."""
    if not logger.isEnabledFor(logging.INFO):
        return
    entry = {
        **fields,
        "event": event,
        **structlog.contextvars.get_contextvars(),
        **tracing.ids(),
        "level": "info",
        "logger": logger.name,
        "timestamp": f"{utcnow().isoformat(timespec='microseconds')[:-6]}Z",
    }
    known = {"name": logger.name, "levelno": logging.INFO, "levelname": "INFO", "msg": entry, "_name": "info"}
    logger.handle(logging.makeLogRecord(known))


def logging_config() -> dict[str, Any]:
    """The setting LOGGING of Django, and of gunicorn: all through structlog, from the level ECI_LOG_LEVEL on."""
    level = os.environ.get("ECI_LOG_LEVEL", "INFO")
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": Lines,
                "processors": [
                    constant_part,
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.ExceptionRenderer(places),
                    only_allowed,
                    structlog.processors.JSONRenderer(),
                ],
                "foreign_pre_chain": [*_SHARED, structlog.stdlib.ExtraAdder()],
            }
        },
        "filters": {"worth_a_line": {"()": lambda: is_worth_a_line}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.request": {"level": "ERROR", "filters": ["worth_a_line"]},
            "django.security": {"level": "CRITICAL"},  # anybody can send a bad Host: that is a 400, and no error
            "django.server": {"handlers": [], "propagate": False},
            "celery": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},  # a line for each call, and the called process has one too
            "celery.redirected": {"handlers": [], "propagate": False},  # what code prints
            "eci.access": {"level": os.environ.get("ECI_ACCESS_LOG", level)},
        },
    }
