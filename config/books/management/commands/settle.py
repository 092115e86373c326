"""``manage.py settle DAY``: compare a day's payments with the provider's own list. Exit code 1 on any difference."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from contexts.payments.public.api import payments
from contexts.payments.public.contracts import DifferenceKind
from eci.checks import OWN
from eci.clock import utcnow
from eci.errors import ContextUnavailable
from eci.money import text

ADVICE = {
    DifferenceKind.MISSING_HERE: "Look the reference up at the provider. Unless goods have left, have it refunded.",
    DifferenceKind.MISSING_THERE: "Ask the provider. Until it appears there, no money has moved.",
    DifferenceKind.AMOUNTS_DIFFER: "Ask the provider which is right. Refund any surplus from the payment's page.",
    DifferenceKind.STATE_DIFFERS: "`manage.py reconcile --apply` asks again. If it stays, contact the provider.",
    DifferenceKind.TAKEN_TWICE: "Have the provider refund one of them.",
}


def _day(given: str) -> date:
    try:
        day = date.fromisoformat(given)
    except ValueError:
        raise ArgumentTypeError(f"{given!r} is not a day: write it as YYYY-MM-DD.") from None
    if day > utcnow().date() + timedelta(days=1):  # clocks differ
        raise ArgumentTypeError(f"{given} is still to come.")
    return day


class Command(BaseCommand):
    help = "Compare our payments and refunds of a day (YYYY-MM-DD, UTC) with the provider's own list. Changes nothing."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("day", type=_day, help="YYYY-MM-DD, in UTC")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            settlement = payments.settlement(day=options["day"])
        except ContextUnavailable as error:
            raise CommandError(error.message) from error
        except DatabaseError as error:
            raise CommandError(f"The payments database cannot be read: {error}") from error
        self.stdout.write(f"{settlement.day} (UTC)")
        for total in settlement.totals:
            ours, theirs = text(total.ours, total.currency), text(total.theirs, total.currency)
            agree = (total.our_count, ours) == (total.their_count, theirs)
            self.stdout.write(
                f"  {total.name:10} {total.currency}  ours {ours:>14} in {total.our_count:<6}"
                f" provider's {theirs:>14} in {total.their_count:<6} {'agree' if agree else 'DIFFER'}"
            )
        for one in settlement.differences:
            where = f"{one.subject}: " if one.subject else ""
            self.stdout.write(f"{one.kind.value.upper()}  {where}{one.problem}")
            self.stdout.write(
                f"    key {one.key}" + (f", provider's reference {one.reference}" if one.reference else "")
            )
            self.stdout.write(f"    {ADVICE[one.kind]}")
        if settlement.differences:
            raise CommandError(f"{len(settlement.differences)} differences with the provider.")
        self.stdout.write("Our books and the provider's agree.")
