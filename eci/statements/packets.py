"""Several reads of one database on one way there and back, which costs more than most of them do.

MySQL and MariaDB take them in one packet. PostgreSQL does not, if it is to keep their plans, and SQLite is not away.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

from django.db import connections

from eci.statements.querysets import Reads
from eci.statements.texts import converted, fetched, is_watched, run

Question = partial[list[Any]]  # partial(reads, **values): called, it is asked by itself


def at_once(*questions: Question) -> list[list[Any]]:
    """The rows of each, all of one database. As by themselves, each sees what is committed when its turn comes."""
    prepared = [_reads(question).prepared(question.keywords) for question in questions]
    [alias] = {alias for alias, _ in prepared}
    connection = connections[alias]
    kept = [one for _, one in prepared if one is not None]
    if connection.vendor != "mysql" or len(kept) < len(questions) or is_watched(connection):
        return [question() for question in questions]
    texts = [
        _reads(question).text(question.keywords, text) for question, (text, _) in zip(questions, kept, strict=True)
    ]
    packet = ";".join(text for text, _ in texts)
    found = run(connection, packet, list(chain.from_iterable(params for _, params in texts)), _all_fetched)
    return [
        list(map(row_of, converted(rows, converters, connection) if converters else rows))
        for rows, (_, (_, converters, row_of)) in zip(found, kept, strict=True)
    ]


def _reads(question: Question) -> Reads[..., Any]:
    reads: Any = question.func
    assert isinstance(reads, Reads)
    return reads


def _all_fetched(cursor: Any) -> list[Any]:
    rows = [fetched(cursor)]
    while cursor.nextset():
        rows.append(fetched(cursor))
    return rows
