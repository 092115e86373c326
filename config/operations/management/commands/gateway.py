"""``manage.py gateway``: write the configurations of nginx that the repository has, from config/contexts.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config.operations import gateway


class Command(BaseCommand):
    help = "Write nginx's configurations for compose and Kubernetes. Run it when config/contexts.py has changed."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        for path, text in gateway.files().items():
            (Path(settings.BASE_DIR) / path).write_text(text)
            self.stdout.write(path)
