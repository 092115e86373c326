"""``manage.py drop``: some units, many buyers, all at once, at the running shop. Exit code 0 if every unit was sold
once (of more units than buyers: one to each), nobody was told anything else, and the books agree; 1 if not."""

from __future__ import annotations

from typing import Any

import httpx
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.books import drop
from eci.checks import OWN


class Command(BaseCommand):
    help = "Let many buyers race for a few units of a new product at the running shop, and audit the books."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--units", type=int, default=100)
        parser.add_argument("--buyers", type=int, default=1000)
        parser.add_argument("--at-once", type=int, default=50, help="connections on which buyers come (50)")
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the running shop")
        parser.add_argument("--token", default="", help="where the shop is closed: an administrator's access token")

    def handle(self, *args: Any, **options: Any) -> None:
        race = {name: options[name] for name in ("units", "buyers", "at_once")}
        if wrong := [name for name, number in race.items() if not 0 < number <= 1_000_000]:
            raise CommandError(f"--{wrong[0].replace('_', '-')} is a number from 1 to 1,000,000.")
        if settings.ECI_GATEWAY != "sandbox":
            raise CommandError("This shop takes real money. Run a drop where ECI_GATEWAY is sandbox.")
        try:
            found = drop.run(url=options["url"], token=options["token"], **race)
        except httpx.HTTPError as error:
            raise CommandError(f"No shop answers at {options['url']}: {error}") from error
        except drop.DropError as error:
            raise CommandError(str(error)) from error
        self._report(found)
        call_command("audit", stdout=self.stdout)
        if not found.is_right:
            raise CommandError("The race did not end as it must.")

    def _report(self, race: drop.Race) -> None:
        tell, done = self.stdout.write, race.seconds
        tell(f"{race.buyers} buyers for {race.units} units: {race.sold} sold, {race.refused} refused.")
        for answer, buyers in sorted(race.others.items()):
            tell(f"  {buyers} were told: {answer}")
        tell(f"Units that can still be sold: {race.left}.")
        tell(f"{done:.1f} s: {race.buyers / done:.0f} answers a second, {race.sold / done:.0f} of them orders.")
        tell(f"A buyer waited {race.wait(50):.2f} s (median), {race.wait(95):.2f} s (95 of 100).")
