"""The sealed ledger: whatever is changed in it by SQL is found, and where. Nothing else is."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connections

from contexts.inventory import verify_ledger
from contexts.inventory.models import LedgerCheckpoint, LedgerHead, LedgerLink, Movement
from contexts.inventory.services import proof, sealing, stock
from eci.db import unit_of_work
from eci.identity.keys import new, private_pem, public_pem
from tests.support.api import Api
from tests.support.copies import Copied

Stocked = Callable[..., int]
BEGIN = datetime(2026, 5, 1, 8, tzinfo=UTC)
VERIFIER = Path(verify_ledger.__file__)


def found(earlier: list[Any] | None = None) -> list[tuple[str, str]]:
    return verify_ledger.verify(proof.records(), sealing.public_keys(), earlier or [])[1]


def sql(statement: str, *params: Any) -> None:
    with connections["inventory"].cursor() as cursor:
        cursor.execute(statement, params)


def receive(product_id: int, warehouse: str = "A", quantity: int = 5) -> None:
    stock.receive(
        product_id=product_id,
        warehouse=warehouse,
        quantity=quantity,
        reorder_point=None,
        actor="staff:ann",
        create_warehouse=True,
    )


class _Undone(Exception):
    pass


def found_after(change: Callable[[], Any], earlier: list[Any] | None = None) -> list[tuple[str, str]]:
    """What is found once this is done, which is undone then."""
    told: list[tuple[str, str]] = []
    try:
        with unit_of_work("inventory"):
            change()
            told = found(earlier)
            raise _Undone
    except _Undone:
        return told


def with_history(api: Api) -> int:
    """A product with a history in two warehouses, beside another one; sealed by five checkpoints, every two hours."""
    with time_machine.travel(BEGIN, tick=False) as clock:
        one, other = (
            int(api.post("/v1/products", {"sku": sku, "name": "Lamp", "price": "5.00"}).data["product_id"])
            for sku in ("SKU-1", "SKU-2")
        )
        for place in ((one, "A", 10), (one, "B", 3), (other, "A", 7)):
            receive(*place)
        for _ in range(4):
            sealing.seal()
            clock.shift(timedelta(hours=1))
            stock.adjust(product_id=one, warehouse="A", delta=-1, reason="broken", actor="staff:ann")
            for place in ((one, "A"), (other, "A"), (one, "B")):
                receive(*place)
            clock.shift(timedelta(hours=1))
        sealing.seal()
    return one


@pytest.fixture(scope="session")
def sealed(copied: Callable[..., Copied[int]]) -> Copied[int]:
    return copied(with_history)


@pytest.fixture
def product_id(api: Api, sealed: Copied[int]) -> int:
    return sealed.put(api)


def ids(product_id: int, warehouse: str = "A") -> list[int]:
    rows = Movement.objects.filter(product_id=product_id, warehouse=warehouse)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def at(hour: int) -> str:
    """When the checkpoint of that hour was signed."""
    return sealing.exact(moment=BEGIN.replace(hour=hour))


def test_what_nobody_has_changed_is_sound(product_id: int) -> None:
    assert found() == []
    checkpoints = LedgerCheckpoint.objects.order_by("number").values_list("number", "links")
    assert list(checkpoints) == [(1, 3), (2, 7), (3, 11), (4, 15), (5, 19)]
    assert LedgerLink.objects.count() == Movement.objects.count() == 19
    assert sealing.seal() == 0


def test_a_changed_movement_is_named_with_its_place_and_time(product_id: int) -> None:
    changed = ids(product_id)[2]  # sealed at 10:00
    expected = [
        (
            f"product {product_id} in A",
            f"movement {changed}, sealed after {at(8)}, was changed, or its link was; it is dated {at(9)}",
        )
    ]
    for column, value in (
        ("delta", 6),
        ("on_hand", 12),
        ("kind", "count"),
        ("reason", "gift"),
        ("order_id", "ORD-1"),
        ("reference", "elsewhere"),
        ("actor", "staff:bob"),
    ):
        change = f"UPDATE inventory_movement SET {column} = %s WHERE id = %s"
        assert found_after(lambda: sql(change, value, changed)) == expected, column  # noqa: B023
    for column, value in (("product_id", 987), ("warehouse_id", "B")):
        change = f"UPDATE inventory_movement SET {column} = %s WHERE id = %s"
        assert found_after(lambda: sql(change, value, changed)) == expected, column  # noqa: B023
    earlier = Movement.objects.filter(pk=changed)
    assert found_after(lambda: earlier.update(at=BEGIN))[0][1].endswith(f"it is dated {at(8)}")


def _copy(movement: int, **changes: Any) -> Movement:
    row = Movement.objects.get(pk=movement)
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    return row


def _swap(one: int, other: int) -> None:
    for before, after in ((one, -1), (other, one), (-1, other)):
        sql("UPDATE inventory_movement SET id = %s WHERE id = %s", after, before)


def test_deleted_inserted_and_swapped_movements_are_named(product_id: int) -> None:
    place = f"product {product_id} in A"
    history = ids(product_id)

    deleted = found_after(lambda: sql("DELETE FROM inventory_movement WHERE id = %s", history[3]))
    assert deleted == [(place, f"movement {history[3]}, sealed after {at(10)}, was deleted")]

    swapped = found_after(lambda: _swap(history[1], history[3]))
    assert [subject for subject, _ in swapped] == [place, place]
    assert f"movement {history[1]}, sealed after {at(8)}, was changed" in swapped[0][1]
    assert f"movement {history[3]}, sealed after {at(10)}, was changed" in swapped[1][1]

    inserted = found_after(lambda: _copy(history[3], pk=-5))
    assert inserted == [(place, f"movement -5 was inserted; it is dated {at(11)}")]

    def at_the_end() -> None:
        """It is sealed as any other; but what was on hand does not go with it, or with what follows."""
        _copy(history[3], pk=None, delta=5, on_hand=1000)
        sealing.seal()

    assert [subject for subject, _ in found_after(at_the_end)] == [place]

    def before_a_real_one() -> None:
        last = Movement.objects.get(pk=history[-1])
        _copy(history[-1], pk=None, delta=5, on_hand=last.on_hand + 5)
        receive(product_id)
        sealing.seal()

    assert "does not follow" in found_after(before_a_real_one)[0][1]


def test_changes_of_links_are_found(product_id: int) -> None:
    link = LedgerLink.objects.get(movement=ids(product_id)[2])
    last = LedgerLink.objects.count()

    def changes(**values: Any) -> list[tuple[str, str]]:
        return found_after(lambda: LedgerLink.objects.filter(pk=link.pk).update(**values))

    assert f"movement {link.movement_id}, sealed after {at(8)}, was changed, or its link was" in changes(salt="0")[0][1]
    assert any("links were made anew" in problem for _, problem in changes(digest="0" * 64))
    assert "was changed, or its link was" in changes(product_id=987)[0][1]

    def delete(*numbers: int) -> Callable[[], Any]:
        return lambda: sql(f"DELETE FROM inventory_ledgerlink WHERE number IN ({', '.join(map(str, numbers))})")

    assert ("ledger", f"links 5 to 6 are missing, sealed after {at(8)}") in found_after(delete(5, 6))
    assert ("ledger", f"links {last} to {last} are missing, sealed by {at(16)}") in found_after(delete(last))

    def cut_off() -> None:
        for number in (last - 1, last):
            movement = LedgerLink.objects.get(pk=number).movement_id
            delete(number)()
            sql("DELETE FROM inventory_movement WHERE id = %s", movement)

    assert found_after(cut_off) == [("ledger", f"links {last - 1} to {last} are missing, sealed by {at(16)}")]


def _forge(product_id: int) -> None:
    """Change a movement, and make all links anew that are built on it, as who may write everything but has no key."""
    changed = ids(product_id)[1]
    sql("UPDATE inventory_movement SET reason = 'gift' WHERE id = %s", changed)
    previous = ""
    for link in LedgerLink.objects.filter(product_id=product_id, warehouse="A").order_by("number"):
        assert link.movement
        previous = verify_ledger.link_of(previous, link.salt, "", sealing.facts(movement=link.movement))
        LedgerLink.objects.filter(pk=link.pk).update(digest=previous)


def test_links_made_anew_do_not_fit_what_was_signed(product_id: int) -> None:
    told = found_after(lambda: _forge(product_id))
    assert told[0] == ("ledger", f"links were made anew, of those sealed after {at(8)} and by {at(10)}")
    assert len(told) == 4, "each checkpoint since then"


def test_changes_of_checkpoints_are_found(product_id: int) -> None:
    third = LedgerCheckpoint.objects.filter(number=3)
    for change in ({"links": 12}, {"upto": 1}, {"digest": "0" * 64}, {"at": BEGIN}, {"signature": "00"}):
        told = found_after(lambda: third.update(**change))  # noqa: B023
        assert [problem.partition(";")[0] for _, problem in told] == ["checkpoint 3 was changed, or has another key"]

    def exchange() -> None:
        signatures = dict(LedgerCheckpoint.objects.values_list("number", "signature"))
        for number, other in ((2, 3), (3, 2)):
            LedgerCheckpoint.objects.filter(number=number).update(signature=signatures[other])

    assert len(found_after(exchange)) == 2
    gone = found_after(lambda: LedgerCheckpoint.objects.filter(number__in=(2, 3)).delete())
    assert gone == [("ledger", f"checkpoints 2 to 3 are missing, after {at(8)}")]

    last = LedgerCheckpoint.objects.filter(number=5)
    assert found_after(last.delete) == [("ledger", "the checkpoint of links 16 to 19 is missing")]
    with pytest.raises(sealing.CheckpointMissing):
        found_after(lambda: (last.delete(), sealing.seal()))


def test_a_new_key_goes_on_where_the_old_one_is_known(product_id: int, settings: Any) -> None:
    old = public_pem(sealing.public_keys()[0]).decode()
    settings.ECI_LEDGER_KEY = private_pem(new()).decode()
    assert [problem.partition(";")[0] for _, problem in found()[:5]] == [
        f"checkpoint {number} was changed, or has another key" for number in range(1, 6)
    ]
    settings.ECI_LEDGER_RETIRED_KEYS = old
    receive(product_id)
    sealing.seal()
    assert found() == []


def test_what_was_cut_off_with_its_checkpoints_shows_beside_an_earlier_export(product_id: int) -> None:
    earlier = list(proof.records())

    def cut_off() -> None:
        LedgerCheckpoint.objects.filter(number=5).delete()
        LedgerLink.objects.filter(number__gt=15).delete()
        Movement.objects.filter(link=None).delete()
        LedgerHead.objects.all().delete()

    assert found_after(cut_off) == []
    assert found_after(cut_off, earlier) == [("ledger", "an earlier checkpoint has 19 links; 15 are left")]

    def written_anew() -> None:
        cut_off()
        for number in range(4):
            receive(product_id, "C", number + 1)
        sealing.seal()

    assert found_after(written_anew, earlier) == [
        ("ledger", "an earlier checkpoint says otherwise of the first 19 links")
    ]


def test_latecomers_and_several_batches_are_sealed_once(stocked: Stocked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction may commit after one that took a later id, in another place. It has an hour."""
    monkeypatch.setattr(sealing, "BATCH", 2)
    monkeypatch.setattr(sealing, "LOOKED_AT", 1)
    with time_machine.travel(BEGIN, tick=False) as clock:
        one, other = stocked(A=10, B=3), stocked(A=7, B=1)
        late = Movement.objects.get(pk=ids(other)[0])
        late.delete()
        assert sealing.seal() == 3
        clock.shift(timedelta(minutes=59))
        receive(one)
        assert sealing.seal() == 1
        late.save(force_insert=True)
        clock.shift(timedelta(minutes=59))
        assert sealing.seal() == 1
        assert found() == []
        assert LedgerLink.objects.get(movement=late.pk).number == 5
        clock.shift(timedelta(hours=1))
        assert sealing.seal() == 0
        assert LedgerCheckpoint.objects.order_by("-number")[0].links == 5, "a quiet hour is signed too"
        assert LedgerCheckpoint.objects.count() == 6
        _copy(late.pk, pk=0 - late.pk)
        assert sealing.seal() == 0, "what comes too late is not sealed"
        assert [problem.partition(" was inserted")[0] for _, problem in found()] == [f"movement -{late.pk}"]
        Movement.objects.filter(pk=-late.pk).delete()


def test_a_latecomer_in_the_middle_of_a_run_comes_before_what_follows_it(
    stocked: Stocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "LOOKED_AT", 1)
    other, _ = stocked(A=7), stocked(A=10, B=3)
    late = Movement.objects.get(pk=ids(other)[0])
    late.delete()

    def linked(*given: Any) -> str:
        """At the first link, the other transaction commits, and its place is written again."""
        monkeypatch.undo()
        late.save(force_insert=True)
        receive(other)
        return verify_ledger.link_of(*given)

    monkeypatch.setattr(sealing, "link_of", linked)
    assert (sealing.seal(), sealing.seal()) == (2, 2)
    assert found() == []


def test_text_can_be_erased_and_all_else_stays_proven(product_id: int) -> None:
    erased, told = ids(product_id)[1], StringIO()
    call_command("erase_movement_text", erased, stdout=told)
    movement = Movement.objects.get(pk=erased)
    assert (movement.reason, movement.reference, movement.actor, movement.delta) == ("", "", "staff:ann", -1)
    assert found() == []
    changed = found_after(lambda: Movement.objects.filter(pk=erased).update(reason="gift"))
    assert len(changed) == 1
    assert len(found_after(lambda: Movement.objects.filter(pk=erased).update(actor="staff:bob"))) == 1
    call_command("erase_movement_text", erased, stdout=told)
    assert found() == []
    with pytest.raises(CommandError, match="There is no movement 0"):
        call_command("erase_movement_text", 0)
    with pytest.raises(CommandError, match="was not written by staff"):
        call_command("erase_movement_text", ids(product_id)[0])
    receive(product_id)
    stock.adjust(product_id=product_id, warehouse="A", delta=1, reason="Ann's", actor="staff:ann")
    with pytest.raises(CommandError, match="is not sealed yet"):
        call_command("erase_movement_text", ids(product_id)[-1])


def test_the_command_tells_what_was_changed_and_since_when(product_id: int) -> None:
    told = StringIO()
    call_command("verify_ledger", stdout=told)
    assert "The ledger is as it was sealed: 19 movements, sealed by 5 checkpoints" in told.getvalue()
    assert proof.state().findings == ()
    changed = ids(product_id)[1]
    Movement.objects.filter(pk=changed).update(reason="gift")
    with pytest.raises(CommandError, match=r"1 findings; 19 movements.* All was well at 20"):
        call_command("verify_ledger", stdout=told)
    assert f"product {product_id} in A: movement {changed}, sealed after {at(8)}, was changed" in told.getvalue()
    assert [one.subject for one in proof.state().findings] == [f"product {product_id} in A"]


def test_the_verifier_stands_alone(product_id: int, tmp_path: Path) -> None:
    """At most 100 lines, with nothing of the product; what it reads is an export."""
    text = VERIFIER.read_text()
    assert len(text.splitlines()) <= 100
    imported = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name and name.partition(".")[0] not in sys.stdlib_module_names} == {
        "cryptography.exceptions",
        "cryptography.hazmat.primitives.asymmetric.ec",
        "cryptography.hazmat.primitives.hashes",
        "cryptography.hazmat.primitives.serialization",
    }
    program, keys, export = tmp_path / "verify_ledger.py", tmp_path / "keys.pem", tmp_path / "ledger.jsonl"
    program.write_text(text)
    with keys.open("w") as file:
        call_command("verify_ledger", keys=True, stdout=file)
    call_command("verify_ledger", export=export)
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"event": "ledger_checkpoint", "checkpoint": last_checkpoint()}) + "\n")

    def verified(content: str) -> tuple[int, str]:
        command = [sys.executable, "-I", program, keys, log]
        done = subprocess.run(command, input=content, capture_output=True, text=True, cwd=tmp_path)
        assert done.stderr == ""
        return done.returncode, done.stdout

    content = export.read_text()
    assert verified(content) == (0, f"19 movements, sealed by 5 checkpoints, the last of {at(16)}\n")
    code, told = verified(content.replace('"broken"', '"gift"', 1))
    assert (code, told.count("was changed")) == (1, 1)
    *lines, _ = content.splitlines()
    code, told = verified("\n".join(lines[:-4]))
    assert (code, told.splitlines()[0]) == (1, "ledger: an earlier checkpoint has 19 links; 15 are left")
    code, told = verified("")
    assert code == 1 and "no movement was read, and so none is proven" in told

    for arguments, content in (
        ([], ""),
        (["nowhere.pem"], ""),
        ([keys], "no JSON"),
        ([keys], "{}"),
        ([keys, program], ""),
    ):
        command = [sys.executable, "-I", program, *arguments]
        done = subprocess.run(command, input=content, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.splitlines()[1:]) == (1, "", []), done
        assert done.stderr.startswith("Nothing was verified (") and "KEYS [EARLIER ...] <EXPORT" in done.stderr


# -- parts of the chain that are missing ------------------------------------------------------------------------------

PARTS = {"links": "inventory_ledgerlink", "heads": "inventory_ledgerhead", "checkpoints": "inventory_ledgercheckpoint"}


def _delete(parts: tuple[str, ...], which: str) -> None:
    """Delete the first, a middle, the last, or every row of these tables."""
    for part in parts:
        key = "id" if part == "heads" else "number"
        with connections["inventory"].cursor() as cursor:
            cursor.execute(f"SELECT {key} FROM {PARTS[part]} ORDER BY {key}")
            rows = [row for (row,) in cursor.fetchall()]
        gone = {"first": rows[:1], "middle": rows[1:2], "last": rows[-1:], "all": rows}[which]
        sql(f"DELETE FROM {PARTS[part]} WHERE {key} IN ({', '.join(map(str, gone))})")


def told_by_the_command() -> str:
    """What ``verify-ledger`` prints when it finds something; empty if it finds nothing."""
    told = StringIO()
    try:
        call_command("verify_ledger", stdout=told)
    except CommandError as error:
        return told.getvalue() + str(error)
    return ""


def told_when_all_is_well() -> str:
    told = StringIO()
    call_command("verify_ledger", stdout=told)
    return told.getvalue()


SETS = [parts for size in (1, 2, 3) for parts in combinations(PARTS, size)]


@pytest.mark.parametrize("verified_before", [True, False])
def test_no_part_of_the_chain_can_be_missing(product_id: int, verified_before: bool) -> None:
    """With a changed row and without. It is named as long as its links are there, with or without checkpoints."""
    if verified_before:
        proof.check()
    changed = ids(product_id)[2]
    for parts, which, change in product(SETS, ("first", "middle", "last", "all"), (True, False)):
        told: list[str] = []

        def tamper(
            parts: tuple[str, ...] = parts, which: str = which, change: bool = change, told: list[str] = told
        ) -> None:
            _delete(parts, which)
            if change:
                Movement.objects.filter(pk=changed).update(delta=12)
            told.append(told_by_the_command())
            assert bool(told[0]) == bool(proof.state().findings)

        found_after(tamper)
        nothing_is_left = parts == tuple(PARTS) and which == "all"
        assert bool(told[0]) == (verified_before or not nothing_is_left), (parts, which, change)
        if change and "links" not in parts:
            assert f"movement {changed}, sealed after" in told[0], (parts, which)


def test_an_export_has_links_that_no_checkpoint_covers(product_id: int, tmp_path: Path) -> None:
    LedgerCheckpoint.objects.all().delete()
    call_command("verify_ledger", export=tmp_path / "ledger.jsonl")
    records = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [record["link"] for record in records] == list(range(1, 20))
    assert verify_ledger.verify(records, sealing.public_keys())[1] == [
        ("ledger", "the checkpoint of links 1 to 19 is missing")
    ]
    with pytest.raises(sealing.CheckpointMissing):
        sealing.seal()


def test_a_chain_made_anew_is_found_beside_the_last_sound_verification(product_id: int) -> None:
    proof.check()
    seen = proof.last_sound()
    _delete(tuple(PARTS), "all")
    Movement.objects.filter(pk=ids(product_id)[0]).update(reason="gift")
    assert sealing.seal() == 19
    assert found() == [], "the links alone do not tell"
    for _ in range(2):
        assert "what was verified at" in told_by_the_command()
    assert proof.last_sound() == seen
    assert proof.state().findings[0].subject == "ledger"


def test_fewer_movements_than_were_verified_are_found_though_nothing_was_ever_sound(product_id: int) -> None:
    Movement.objects.filter(pk=ids(product_id)[0]).update(reason="gift")
    assert proof.check().found == 1
    _delete(("links", "checkpoints"), "last")
    LedgerLink.objects.filter(number__gt=15).delete()
    LedgerHead.objects.all().delete()
    assert "an earlier verification saw 19 movements; 15 are left" in told_by_the_command()


def test_sealing_does_not_begin_again_where_heads_are_left(product_id: int) -> None:
    _delete(("links", "checkpoints"), "all")
    with pytest.raises(sealing.CheckpointMissing):
        sealing.seal()


def test_a_head_elsewhere_is_found(product_id: int) -> None:
    head = LedgerHead.objects.filter(product_id=product_id, warehouse="A")
    for link in (1, 1000, None):
        head.update(link=link)
        assert f"product {product_id} in A: its head is link {link}" in told_by_the_command()


def test_a_young_shop_has_nothing_sealed(stocked: Stocked, tmp_path: Path) -> None:
    """Neither without a movement, nor with old ones that were there before the first seal."""
    assert told_when_all_is_well() == "Nothing has been sealed yet.\n"
    stocked(A=1)
    waiting = " Movements that wait to be sealed, and that nothing proves yet: 1.\n"
    assert told_when_all_is_well() == f"Nothing has been sealed yet.{waiting}"
    told = StringIO()
    call_command("verify_ledger", export=tmp_path / "ledger.jsonl", stdout=told)
    assert told.getvalue().startswith("Nothing has been sealed yet.")
    sealing.seal()
    assert "wait" not in told_when_all_is_well()
    stocked(A=2)
    assert "sealed by 1 checkpoints" in (told_so := told_when_all_is_well())
    assert told_so.endswith(waiting)
    assert told_by_the_command() == ""


def test_what_is_sealed_while_the_ledger_is_verified_is_no_finding(
    product_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heads are read last: those of what was sealed meanwhile are ahead. Another verification may have seen it."""
    facts = sealing.facts

    def sealed_meanwhile(*, movement: Movement) -> dict[str, Any]:
        monkeypatch.setattr(proof, "facts", facts)
        receive(product_id)
        receive(product_id, "C")
        sealing.seal()
        proof.check()
        return facts(movement=movement)

    monkeypatch.setattr(proof, "facts", sealed_meanwhile)
    assert told_by_the_command() == ""
    assert LedgerLink.objects.count() == 21


def last_checkpoint() -> list[Any]:
    last = LedgerCheckpoint.objects.order_by("-number")[0]
    return [*sealing.signed(checkpoint=last), last.signature]
