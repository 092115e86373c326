"""Files that are imported, in the words of a shop that moves in."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from openpyxl import Workbook

from eci.imports import running
from tests.support.api import Answer, Api


def csv(*lines: str) -> bytes:
    return "\n".join(lines).encode() + b"\n"


def xlsx(*rows: Iterable[Any], formats: dict[str, str] | None = None, **more_sheets: list[list[Any]]) -> bytes:
    """``formats``: of numbers, by their cells (``C2``)."""
    book = Workbook()
    for row in rows:
        book.active.append(list(row))
    for cell, number_format in (formats or {}).items():
        book.active[cell].number_format = number_format
    for name, cells in more_sheets.items():
        sheet = book.create_sheet(name)
        for row in cells:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@dataclass
class Importing:
    api: Api
    kind: str = "products"

    def send(self, content: bytes, *, path: str = "/v1/imports", name: str = "file.csv", **given: Any) -> Answer:
        """``given``: kind, mapping, options; ``key``."""
        headers = {"Idempotency-Key": given.pop("key")} if "key" in given else {}
        body = {"kind": given.pop("kind", self.kind)} if path == "/v1/imports" else {}
        body |= {field: json.dumps(value) for field, value in given.items()}
        file = SimpleUploadedFile(name, content)
        response = self.api.client.post(path, body | {"file": file}, headers=headers)
        return Answer(response.status_code, json.loads(response.content or b"null"), response.headers)

    def work(self) -> None:
        for context in ("catalog", "inventory", "customers"):
            running.run_due(context)

    def read(self, content: bytes, **given: Any) -> dict[str, Any]:
        """The import, once it is read."""
        sent = self.send(content, **given)
        assert sent.status == 202, sent.json
        self.work()
        return self.seen(sent.data["import_id"])

    def seen(self, import_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/v1/imports/{import_id}").data
        return found

    def answer(self, import_id: str, **options: Any) -> dict[str, Any]:
        answered = self.api.patch(f"/v1/imports/{import_id}", {"options": options})
        assert answered.status == 202, answered.json
        self.work()
        return self.seen(import_id)

    def rows(self, import_id: str, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.get(f"/v1/imports/{import_id}/rows?limit=100{query}").data
        return found

    def outcomes(self, import_id: str) -> list[tuple[int, str]]:
        return [(row["line"], row["outcome"]) for row in self.rows(import_id)]

    def apply(self, import_id: str) -> dict[str, Any]:
        assert self.api.post(f"/v1/imports/{import_id}/apply").status == 202
        self.work()
        return self.seen(import_id)

    def undo(self, import_id: str) -> dict[str, Any]:
        assert self.api.post(f"/v1/imports/{import_id}/undo").status == 202
        self.work()
        return self.seen(import_id)

    def take(self, content: bytes, **given: Any) -> dict[str, Any]:
        """Read and apply."""
        return self.apply(self.read(content, **given)["import_id"])
