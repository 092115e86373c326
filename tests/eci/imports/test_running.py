"""The worker's side: what dies on the way is carried on, and every row is written once."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.models.functions import Now

from contexts.catalog.imports.products import Products
from contexts.catalog.models import Import, ImportLine, ImportPiece, PriceChange, Product
from contexts.catalog.services import create_product
from eci.clock import utcnow
from eci.errors import ContextUnavailable
from eci.imports import applying, leases, reading, running, uploads
from eci.imports.leases import Lease
from tests.support.imports import Importing, csv

ROWS = 60
FILE = csv("sku,name,price", *(f"S-{n:03},Name {n},{n + 1}" for n in range(ROWS)))


class Killed(BaseException):
    """As ``kill -9``: nothing is tidied up."""


@pytest.fixture
def importing(api: Any, monkeypatch: pytest.MonkeyPatch) -> Importing:
    monkeypatch.setattr(reading, "PIECE", 10)
    monkeypatch.setattr(applying, "PIECE", 10)
    return Importing(api)


@pytest.fixture
def dies(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the process die when it holds its lease for the ``n``th time, with that transaction."""

    def at(n: int) -> None:
        held = Lease.hold
        times = iter(range(1, 10_000))

        def hold(self: Lease, **changes: Any) -> None:
            held(self, **changes)
            if next(times) == n:
                raise Killed

        monkeypatch.setattr(Lease, "hold", hold)
        monkeypatch.setattr(Lease, "give_back", lambda self, **how: None)

    return at


def time_passes() -> None:
    Import.objects.update(lease_until=Now() - timedelta(seconds=1))


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_reading_is_carried_on_where_it_stopped(importing: Importing, dies: Any, monkeypatch: Any, n: int) -> None:
    sent = importing.send(FILE).data["import_id"]
    dies(n)
    with pytest.raises(Killed):
        importing.work()
    monkeypatch.undo()
    monkeypatch.setattr(reading, "PIECE", 10)
    importing.work()
    assert importing.seen(sent)["status"] == "READING", "another worker waits until the lease has run out"
    time_passes()
    importing.work()
    assert importing.seen(sent)["counts"]["new"] == ROWS
    assert list(ImportLine.objects.order_by("position").values_list("line", flat=True)) == list(range(2, ROWS + 2))


@pytest.mark.parametrize("n", [1, 3, 6])
def test_every_row_is_applied_once(importing: Importing, dies: Any, monkeypatch: Any, n: int) -> None:
    read = importing.read(FILE)
    importing.api.post(f"/v1/imports/{read['import_id']}/apply")
    dies(n)
    with pytest.raises(Killed):
        importing.work()
    monkeypatch.undo()
    before = importing.seen(read["import_id"])["progress"]["done"]
    assert before == Product.objects.count() == ImportLine.objects.filter(state="applied").count()
    time_passes()
    importing.work()
    assert importing.seen(read["import_id"])["status"] == "APPLIED"
    assert (Product.objects.count(), PriceChange.objects.count()) == (ROWS, ROWS)
    assert set(Product.objects.values_list("version", flat=True)) == {1}


def test_progress_is_what_is_done(importing: Importing, monkeypatch: Any) -> None:
    """Of each stage, at each of its steps, to two in a hundred."""
    sent = importing.send(FILE).data["import_id"]
    held = Lease.hold
    shown: list[tuple[str, float, float]] = []

    def hold(self: Lease, **changes: Any) -> None:
        held(self, **changes)
        if "position" in changes:
            seen = importing.seen(sent)
            judged = changes["position"] if seen["status"] != "UNDOING" else ROWS + 1 - changes["position"]
            shown.append((seen["status"], seen["progress"]["percent"], 100 * judged / ROWS))

    monkeypatch.setattr(Lease, "hold", hold)
    importing.work()
    importing.apply(sent)
    importing.undo(sent)
    assert Counter(stage for stage, *_ in shown) == dict.fromkeys(("READING", "APPLYING", "UNDOING"), ROWS // 10)
    for stage, percent, true in shown:
        assert abs(percent - true) <= 2, (stage, percent, true)


def test_who_has_lost_the_lease_writes_nothing(importing: Importing) -> None:
    read = importing.read(FILE)
    importing.api.post(f"/v1/imports/{read['import_id']}/apply")
    slow = leases.take("catalog")
    assert slow is not None
    assert leases.take("catalog") is None
    time_passes()
    other = leases.take("catalog")
    assert other is not None
    with pytest.raises(leases.Lost):
        applying.apply(slow)
    assert Product.objects.count() == 0
    applying.apply(other)
    assert Product.objects.count() == ROWS


@pytest.mark.parametrize(("took", "lasts"), [(0.1, 3), (0.5, 4), (5, 10)])
def test_a_lease_lasts_as_long_as_some_pieces_take(
    importing: Importing, monkeypatch: Any, took: float, lasts: int
) -> None:
    """So nobody waits long for one that was killed, and slow work is not taken over."""
    importing.send(FILE)
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=iter([0, took, took]).__next__))
    lease = leases.take("catalog")
    assert lease is not None
    before = utcnow()
    lease.advance(position=1)
    until = Import.objects.get().lease_until
    assert before + timedelta(seconds=lasts - 1) <= until <= utcnow() + timedelta(seconds=lasts)


@pytest.mark.parametrize("breaking", ["look", "finish"])
def test_a_row_that_nobody_thought_of_is_refused_alone(importing: Importing, monkeypatch: Any, breaking: str) -> None:
    right = getattr(Products, breaking)

    def breaks(self: Products, said: Any, *more: Any) -> Any:
        rows = said if isinstance(said, list) else [said]
        if any(row["sku"] == "S-013" for row in rows):
            raise ArithmeticError
        return right(self, said, *more)

    monkeypatch.setattr(Products, breaking, breaks)
    read = importing.read(FILE)
    assert (read["status"], read["counts"]["new"], read["counts"]["refused"]) == ("READY", ROWS - 1, 1)
    [row] = importing.rows(read["import_id"], "&outcome=refused")
    assert (row["key"], row["messages"]) == ("S-013", ["This row could not be understood. The log says why."])


def test_a_row_that_breaks_its_piece_is_refused_alone(importing: Importing, monkeypatch: Any) -> None:
    read = importing.read(FILE)
    right = Products.write

    def breaks(self: Products, rows: Any, prepared: Any, *, actor: str) -> Any:
        if any(row["sku"] == "S-013" for row in rows):
            raise ArithmeticError
        return right(self, rows, prepared, actor=actor)

    monkeypatch.setattr(Products, "write", breaks)
    done = importing.apply(read["import_id"])
    assert (done["status"], done["counts"]["refused"]) == ("APPLIED", 1)
    [row] = importing.rows(read["import_id"], "&outcome=refused")
    assert (row["key"], row["messages"]) == ("S-013", ["Something went wrong on our side with this row."])
    assert Product.objects.count() == ROWS - 1


def test_what_cannot_be_made_ready_ahead_is_made_when_it_is_written(importing: Importing, monkeypatch: Any) -> None:
    ahead = Products.ahead

    def breaks(self: Products, rows: Any) -> Any:
        if any(row["sku"] == "S-013" for row in rows):
            raise ArithmeticError
        return ahead(self, rows)

    monkeypatch.setattr(Products, "ahead", breaks)
    done = importing.take(FILE)
    assert (done["status"], done["counts"]["new"], Product.objects.count()) == ("APPLIED", ROWS, ROWS)


def test_a_product_that_somebody_adds_meanwhile_is_changed(importing: Importing, monkeypatch: Any) -> None:
    """After its row was made ready, and before it is written."""
    write = Products.write

    def meanwhile(self: Products, rows: Any, prepared: Any, *, actor: str) -> Any:
        if any(row["sku"] == "S-013" for row in rows):
            create_product(actor="staff:1", sku="S-013", name="Ann's", price=Decimal(5), barcode="12345678")
        return write(self, rows, prepared, actor=actor)

    monkeypatch.setattr(Products, "write", meanwhile)
    done = importing.take(FILE)
    assert (done["counts"]["new"], done["counts"]["changed"]) == (ROWS - 1, 1)
    product = Product.objects.get(sku="S-013")
    assert (product.name, product.price_minor, product.barcode) == ("Name 13", 1400, "12345678")
    [change] = importing.rows(done["import_id"], "&outcome=changed")
    assert change["changes"] == {"name": ["Ann's", "Name 13"], "price": ["5.00", "14.00"]}


def test_what_fails_again_and_again_is_given_up(importing: Importing, monkeypatch: Any) -> None:
    sent = importing.send(FILE).data["import_id"]

    def breaks(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(Products, "look", breaks)
    for _ in range(running.ATTEMPTS):
        with pytest.raises(RuntimeError):
            importing.work()
    importing.work()
    failed = importing.seen(sent)
    assert (failed["status"], failed["error"]) == (
        "FAILED",
        "This did not come to an end, though it was tried several times. The log says why.",
    )


def test_an_outage_is_no_failure(importing: Importing, monkeypatch: Any) -> None:
    sent = importing.send(FILE).data["import_id"]

    def away(*args: Any, **kwargs: Any) -> Any:
        raise ContextUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(Products, "look", away)
        for _ in range(running.ATTEMPTS + 1):
            with pytest.raises(ContextUnavailable):
                importing.work()
    importing.work()
    assert importing.seen(sent)["status"] == "READY"


def test_a_row_that_breaks_undoing_is_kept_alone(importing: Importing, monkeypatch: Any) -> None:
    done = importing.take(FILE)
    right = Products.restore

    def breaks(self: Products, lines: Any, prepared: Any, *, actor: str) -> Any:
        if any(line.key == "S-013" for line in lines):
            raise ArithmeticError
        return right(self, lines, prepared, actor=actor)

    monkeypatch.setattr(Products, "restore", breaks)
    undone = importing.undo(done["import_id"])
    assert (undone["status"], undone["counts"]["undone"], undone["counts"]["kept"]) == ("UNDONE", ROWS - 1, 1)
    [row] = importing.rows(done["import_id"], "&state=kept")
    assert (row["key"], row["outcome"]) == ("S-013", "new"), "it is still what it was"
    assert row["messages"] == ["Kept. Something went wrong on our side with this row."]


def test_what_was_done_before_it_failed_can_be_undone(importing: Importing, monkeypatch: Any) -> None:
    read = importing.read(FILE)
    path = f"/v1/imports/{read['import_id']}"
    importing.api.post(f"{path}/apply")
    right = Products.write

    def breaks(self: Products, rows: Any, prepared: Any, *, actor: str) -> Any:
        if any(row["sku"] == "S-025" for row in rows):
            raise SystemError  # as if its worker were killed each time
        return right(self, rows, prepared, actor=actor)

    with monkeypatch.context() as patched:
        patched.setattr(Products, "write", breaks)
        patched.setattr(
            applying, "_together_or_singly", lambda lease, kind, lines, step, broken: step(lease, kind, lines)
        )
        for _ in range(running.ATTEMPTS + 1):
            with suppress(SystemError):
                importing.work()
    assert (importing.seen(read["import_id"])["status"], Product.objects.count()) == ("FAILED", 20)
    assert importing.api.patch(path, {"options": {"header_row": 1}}).code == "invalid_transition"
    assert importing.undo(read["import_id"])["status"] == "UNDONE"
    assert not Product.objects.filter(is_active=True).exists()


def test_rows_are_judged_again_when_they_are_written(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price", "A,A,2", "B,B,1", "C,C,1"))
    importing.api.post("/v1/products", {"sku": "A", "name": "A", "price": "1"})
    importing.api.post("/v1/products", {"sku": "B", "name": "B", "price": "1"})
    done = importing.apply(read["import_id"])
    assert {name: done["counts"][name] for name in ("new", "changed", "same")} == {"new": 1, "changed": 1, "same": 1}
    rows = {row["key"]: (row["outcome"], row["changes"]) for row in importing.rows(read["import_id"])}
    assert (rows["A"], rows["B"]) == (("changed", {"price": ["1.00", "2.00"]}), ("same", {}))


def test_a_new_reading_forgets_the_old_one(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price", "A,A,1"))
    importing.answer(read["import_id"], header_row=1)
    assert ImportLine.objects.count() == 1


def test_files_and_lines_are_kept_for_thirty_days(importing: Importing) -> None:
    done = importing.take(FILE)
    assert running.prune("catalog") == 0
    Import.objects.update(created_at=Now() - timedelta(days=31), applied_at=Now() - timedelta(days=31))
    assert running.prune("catalog") == 1
    assert (ImportLine.objects.count(), ImportPiece.objects.count(), running.prune("catalog")) == (0, 0, 0)
    refused = importing.api.post(f"/v1/imports/{done['import_id']}/undo")
    assert (refused.status, refused.error) == (409, "An import can be undone for 30 days.")


def test_a_file_of_which_no_import_came_is_deleted(importing: Importing) -> None:
    importing.send(FILE)
    ImportPiece.objects.update(created_at=Now() - timedelta(days=2))
    uploads.prune("catalog")
    assert ImportPiece.objects.count() == 1
    Import.objects.all().delete()
    uploads.prune("catalog")
    assert ImportPiece.objects.count() == 0
