"""``manage.py recut``: move contexts between the deployments of ``manage.py services``, while they are used."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.operations import cuts

PATIENCE = 180  # seconds


class Command(BaseCommand):
    help = "Give the running services another cut: orders,inventory+payments. Without one: all seven apart."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("cut", nargs="?", default="", help="as manage.py services --cut")

    def handle(self, *args: Any, **options: Any) -> None:
        text, folder = options["cut"], settings.DATA_DIR / "services"
        try:
            deployments = cuts.cut(text)
        except cuts.NoSuchCut as error:
            raise CommandError(str(error)) from None
        before = cuts.State.read(folder)
        if before is None:
            raise CommandError(f"No services run on {settings.DATA_DIR}: make services starts them.")
        cuts.want(text, folder)
        os.kill(before.pid, cuts.RECUT)
        try:
            state = self._outcome(before, folder)
        except KeyboardInterrupt:
            raise CommandError(
                "Nobody waits for it any more, but the services go on with this cut: their lines say how it goes, and "
                "manage.py recut with the cut of before moves everything back.",
                returncode=128 + signal.SIGINT,
            ) from None
        if state is None:
            raise CommandError("The services ended meanwhile.")
        if state.failed:
            raise CommandError(f"Nothing was moved. {state.failed}")
        for deployment in deployments:
            self.stdout.write(f"{deployment.name}: {', '.join(deployment.contexts)}")

    def _outcome(self, before: cuts.State, folder: Path) -> cuts.State | None:
        """What the services say of it, once they do. None: they have ended. CommandError."""
        end = time.monotonic() + PATIENCE
        while (state := cuts.State.read(folder)) and state.turn == before.turn:
            if time.monotonic() > end:
                raise CommandError(f"The services did not say within {PATIENCE} seconds how it went: see their lines.")
            time.sleep(0.2)
        return state
