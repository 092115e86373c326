"""Test the tests: remove one safety at a time, and demand that a test fails.

    python tools/prove.py [WORD ...]

Works on a copy of this checkout in a temporary folder. Words select the safeties whose names contain one of them.
Prints a table at the end, and exits with 1 if the tests stayed green without a safety, or a safety's text was not
found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.servers import Servers, missing  # noqa: E402

LEFT_OUT = (
    ".git",
    ".venv",
    "var",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".import_linter_cache",
)
DEFENCES = "tests/trouble/proofs/test_defences.py"
MIGRATIONS = "tests/rules/test_migrations.py"
BASKETS = "tests/trouble/proofs/test_crowds.py::test_baskets_in_random_order"


@dataclass(frozen=True, kw_only=True)
class Safety:
    """``text`` is exactly once in ``file``; ``instead`` replaces it and removes the safety. ``servers``: its absence
    shows only on servers."""

    name: str
    file: str
    text: str
    instead: str
    tests: tuple[str, ...]
    servers: bool = False


SAFETIES = (
    Safety(
        name="CHECK reserved <= on_hand",
        file="contexts/inventory/migrations/0001_initial.py",
        text="('reserved__lte', models.F('on_hand'))",
        instead="('reserved__lte', models.F('on_hand') + 10**6)",
        tests=(DEFENCES, MIGRATIONS),
    ),
    Safety(
        name="CHECK 0 <= reserved",
        file="contexts/inventory/migrations/0001_initial.py",
        text="('reserved__gte', 0)",
        instead="('reserved__gte', -(10**6))",
        tests=(DEFENCES, MIGRATIONS),
    ),
    Safety(
        name="CHECK refunded <= captured",
        file="contexts/payments/migrations/0001_initial.py",
        text="('captured_minor__gte', models.F('refunded_minor'))",
        instead="('captured_minor__gte', models.F('refunded_minor') - 10**6)",
        tests=(DEFENCES, MIGRATIONS),
    ),
    Safety(
        name="conditional UPDATE that reserves stock",
        file="contexts/inventory/services/parts.py",
        text='Stock.objects.filter(pk__in=units, on_hand__gte=F("reserved") + F("owed") + per_row(units))',
        instead="Stock.objects.filter(pk__in=units)",
        tests=(DEFENCES,),
    ),
    Safety(
        name="units that come in go first to what is owed",
        file="contexts/inventory/services/owed.py",
        text="    if not owing:\n        return\n",
        instead="    return\n",
        tests=("tests/contexts/inventory/test_owed.py",),
    ),
    Safety(
        name="the oldest of what is owed goes first",
        file="contexts/inventory/services/owed.py",
        text="            free[allocation.stock_id] = 0\n",
        instead="            pass\n",
        tests=("tests/contexts/inventory/test_owed.py",),
    ),
    Safety(
        name="what left before it knew of a move",
        file="contexts/inventory/services/holds/shipping.py",
        text="if warehouse is not None and owed.undo_moves(allocations=rows.allocations, warehouse=warehouse, at=at):",
        instead="if False:",
        tests=("tests/contexts/orders/workflows/test_short.py",),
    ),
    Safety(
        name="nothing leaves while its units move",
        file="contexts/inventory/services/holds/shipping.py",
        text="        if one.state == AllocationState.SHORT or one.moved_from\n",
        instead="        if one.state == AllocationState.SHORT\n",
        tests=("tests/contexts/orders/workflows/test_short.py",),
    ),
    Safety(
        name="CHECK 0 <= owed",
        file="contexts/inventory/migrations/0003_owed_versions_and_longer_names.py",
        text="('owed__gte', 0)",
        instead="('owed__gte', -(10**6))",
        tests=(DEFENCES, MIGRATIONS),
    ),
    Safety(
        name="conditional UPDATE that closes an allocation",
        file="contexts/inventory/services/parts.py",
        text="Allocation.objects.filter(pk__in=ids, state=read)",
        instead="Allocation.objects.filter(pk__in=ids)",
        tests=(DEFENCES,),
    ),
    Safety(
        name="conditional UPDATE that sets a refund aside",
        file="contexts/payments/services.py",
        text='pk=payment_id, captured_minor__gte=F("refunded_minor") + amount',
        instead="pk=payment_id",
        tests=("tests/contexts/payments/test_refunds.py",),
    ),
    Safety(
        name="sorted order of stock rows",
        file="contexts/inventory/selectors.py",
        text='.select_related("warehouse").order_by("pk")',
        instead='.select_related("warehouse").order_by("?")',
        tests=(BASKETS,),
        servers=True,
    ),
    Safety(
        name="an expired reservation is rejected",
        file="contexts/inventory/services/holds/steps.py",
        text="if any(allocation.state == AllocationState.EXPIRED for allocation in allocations):",
        instead="if False:",
        tests=("tests/contexts/inventory/test_holds.py",),
    ),
    Safety(
        name="tombstone of a release that came first",
        file="contexts/inventory/services/holds/reserving.py",
        text="    if existing.status == ReservationStatus.RELEASED:",
        instead="    if False:",
        tests=("tests/contexts/inventory/test_contract.py",),
    ),
    Safety(
        name="the database's clock ends a reservation",
        file="contexts/inventory/services/holds/reserving.py",
        text="    now: datetime = rows[0].now\n",
        instead="    from eci.clock import utcnow\n\n    now: datetime = utcnow()\n",
        tests=("tests/trouble/proofs/test_clock.py",),
        servers=True,
    ),
    Safety(
        name="inbox",
        file="eci/outbox.py",
        text="known = set(seen(events=list(handlers)))\n",
        instead="_inbox(consumer)._default_manager.filter(pk__in=handlers).delete()\n        known: set[Any] = set()\n",
        tests=("tests/eci/test_outbox.py",),
    ),
    Safety(
        name="an event that was not handled stays due",
        file="eci/outbox.py",
        text='log.exception("event_not_handled", extra=told)\n                return []',
        instead='log.exception("event_not_handled", extra=told)\n                return rows',
        tests=("tests/eci/test_outbox.py",),
    ),
    Safety(
        name="lease on an order",
        file="contexts/orders/services.py",
        text="free = Order.objects.filter(Q(lease_until=None) | Q(lease_until__lte=Now()), pk=order_id)",
        instead="free = Order.objects.filter(pk=order_id)",
        tests=(DEFENCES,),
    ),
    Safety(
        name="a lost lease ends its runner",
        file="contexts/orders/services.py",
        text="return Order.objects.filter(pk=order_id, lease_owner=owner)",
        instead="return Order.objects.filter(pk=order_id)",
        tests=(DEFENCES,),
    ),
    Safety(
        name="one claim of an idempotency key",
        file="contexts/orders/services.py",
        text='idempotency.claim("orders", key, resource=str(opened.pk))',  # an order's own row has its key, too
        instead="pass",
        tests=("tests/contexts/orders/workflows/test_returning.py",),
    ),
    Safety(
        name="provider's key from the payment's id",
        file="contexts/payments/domain.py",
        text='return _key("payment", payment_id, nonce)',
        instead='import uuid; return _key("payment", payment_id, uuid.uuid4().hex)',
        tests=("tests/contexts/payments/test_crashes.py",),
    ),
    Safety(
        name="an order's payment request is taken once",
        file="contexts/payments/services.py",
        text="open_requests = PaymentRequest.objects.filter(pk=order_id, state=RequestState.OPEN)",
        instead="open_requests = PaymentRequest.objects.filter(pk=order_id)",
        tests=("tests/contexts/payments/test_orders_money.py",),
    ),
    Safety(
        name="victims of a deadlock begin again",
        file="eci/db.py",
        text="if attempt == _ATTEMPTS or not _is_serialization_failure(error):",
        instead="if True:",
        tests=("tests/eci/test_db.py",),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    safety: Safety
    seconds: float
    noticed: str  # the test that failed; empty if all stayed green
    problem: str = ""


class Checkout:
    """The copy from which safeties are removed."""

    def __init__(self, folder: Path, servers: Mapping[str, str]) -> None:
        self.folder = folder
        self.servers = servers
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        (folder / ".venv").symlink_to(ROOT / ".venv")

    def test(self, tests: tuple[str, ...], *, on_servers: bool) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ECI_")}
        environment = kept | {"PYTHONDONTWRITEBYTECODE": "1"} | (dict(self.servers) if on_servers else {})
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def without(self, safety: Safety) -> Verdict:
        path = self.folder / safety.file
        whole = path.read_text()
        if whole.count(safety.text) != 1:
            return Verdict(
                safety=safety, seconds=0, noticed="", problem=f"its text is not exactly once in {safety.file}"
            )
        began = time.monotonic()
        path.write_text(whole.replace(safety.text, safety.instead))
        try:
            run = self.test(safety.tests, on_servers=safety.servers)
        finally:
            path.write_text(whole)
        failed = re.search(r"^FAILED .*?([^/]+::.+?)(?: - |$)", run.stdout, re.MULTILINE)
        problem = "" if run.returncode in (0, 1) else f"pytest ended with {run.returncode}:\n{run.stdout[-2000:]}"
        noticed = failed[1] if failed and run.returncode == 1 else ""
        return Verdict(safety=safety, seconds=time.monotonic() - began, noticed=noticed, problem=problem)


def require_green(checkout: Checkout, safeties: list[Safety]) -> bool:
    """Check that the tests pass with every safety in place, so that a later failure means something."""
    for on_servers in (False, True):
        tests = tuple(dict.fromkeys(test for one in safeties if one.servers == on_servers for test in one.tests))
        if tests:
            run = checkout.test(tests, on_servers=on_servers)
            if run.returncode:
                print(run.stdout[-5000:])
                print("These tests fail with every safety in place.")
                return False
    return True


def prove(safeties: list[Safety], folder: Path, servers: Mapping[str, str]) -> bool:
    checkout = Checkout(folder / "checkout", servers)
    if not require_green(checkout, safeties):
        return False
    verdicts = []
    for safety in safeties:
        verdict = checkout.without(safety)
        verdicts.append(verdict)
        print(f"{verdict.noticed or verdict.problem or 'NOTHING FAILED'}: {safety.name}", flush=True)
    print("\n| removed | failing test | on | s |\n|---|---|---|---|")
    for verdict in verdicts:
        engine = "servers" if verdict.safety.servers else "SQLite"
        noticed = f"`{verdict.noticed}`" if verdict.noticed else "**none**"
        print(f"| {verdict.safety.name} | {noticed} | {engine} | {verdict.seconds:.0f} |")
    return all(verdict.noticed for verdict in verdicts)


def main() -> int:
    parser = argparse.ArgumentParser(description="Remove one safety at a time; a test must fail.")
    parser.add_argument("words", nargs="*", help="only safeties whose names contain one of these")
    words = parser.parse_args().words
    chosen = [one for one in SAFETIES if not words or any(word in one.name for word in words)]
    needed = any(one.servers for one in chosen)
    if needed and missing():
        print(f"This needs servers; on Debian: apt-get install -y {' '.join(missing())}", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="eci-prove-"))
    servers = Servers(folder / "servers", durable=False)
    try:
        if needed:
            servers.start()
        return 0 if prove(chosen, folder, servers.environment()) else 1
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
