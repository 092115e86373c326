"""``manage.py verify-ledger``: was a movement changed since it was sealed? Exit code 0 if none was, 1 if one was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from contexts.inventory.services import proof, sealing
from eci.checks import OWN
from eci.clock import iso
from eci.identity.keys import public_pem

NOTHING = "Nothing has been sealed yet."


class Command(BaseCommand):
    help = "Verify the stock ledger: tell which movements were changed, deleted or inserted after they were sealed."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--export", type=Path, metavar="FILE", help="write what verify_ledger.py reads instead, as JSON lines"
        )
        parser.add_argument("--keys", action="store_true", help="print the public keys of checkpoints instead")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["keys"]:
                self.stdout.write("".join(public_pem(key).decode() for key in sealing.public_keys()), ending="")
            elif options["export"]:
                self._export(options["export"])
            else:
                self._verify()
        except DatabaseError as error:
            raise CommandError(f"The ledger cannot be read: {error}") from error

    def _export(self, path: Path) -> None:
        try:
            with path.open("x", encoding="ascii") as file:
                for record in proof.records():
                    file.write(json.dumps(record) + "\n")
                if not file.tell():
                    self.stdout.write(f"{NOTHING} {path} is empty.")
        except OSError as error:
            raise CommandError(f"{path} cannot be made: {error.strerror}.") from error

    def _verify(self) -> None:
        sound = proof.last_sound()
        check = proof.check()
        for one in check.findings:
            self.stdout.write(f"{one['subject']}: {one['problem']}")
        if not check.found:
            is_sealed = proof.movements_in(verified=check.verified) > 0
            waiting = proof.unsealed(verified=check.verified)
            wait = f" Movements that wait to be sealed, and that nothing proves yet: {waiting}." if waiting else ""
            self.stdout.write((f"The ledger is as it was sealed: {check.verified}." if is_sealed else NOTHING) + wait)
            return
        since = f"All was well at {iso(sound.at)}" if sound else "No earlier verification found all well"
        raise CommandError(f"{check.found} findings; {check.verified}. {since}.")
