"""manage.py contracts: write down what the contexts promise to each other, in docs/contracts."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.contexts import CONTEXTS
from eci.calls import promises, rpc
from eci.checks import OWN


def of(context: str) -> dict[str, Any]:
    """What the context promises in this code. It must be local to this process."""
    contract, _ = rpc.served(context)
    return promises.promises(contract, importlib.import_module(f"contexts.{context}.public.events"))


class Command(BaseCommand):
    help = (
        "Write docs/contracts. A change that other versions would not understand is refused: add a call or an event "
        "beside the old one. To break a promise on purpose, delete its file first."
    )
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=Path(settings.BASE_DIR) / "docs/contracts")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        now = {context: of(context) for context in CONTEXTS}
        broken = []
        for context, promised in now.items():
            file = folder / f"{context}.json"
            if file.exists():
                broken += [f"{context}: {said}" for said in promises.broken(json.loads(file.read_text()), promised)]
        if broken:
            raise CommandError("Nothing is written, for promises would be broken.\n" + "\n".join(broken))
        folder.mkdir(parents=True, exist_ok=True)
        for context, promised in now.items():
            (folder / f"{context}.json").write_text(json.dumps(promised, indent=1, sort_keys=True) + "\n")
