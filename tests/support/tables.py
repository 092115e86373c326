"""The tables of the databases that tests roll back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.core.management import BaseCommand, get_commands
from django.core.management.sql import emit_post_migrate_signal
from django.db import connections, router


class FromModels(BaseCommand):
    """In the place of ``migrate``: tables as the models are, which lint holds equal to the migrations.

    Without migrations Django makes the same tables, but first gathers every model several times, for each database.
    """

    requires_system_checks = ()
    stealth_options = ("database", "interactive", "run_syncdb")

    def handle(self, *, database: str, **options: Any) -> None:
        with connections[database].schema_editor() as editor:
            for model in apps.get_models():
                if router.allow_migrate_model(database, model) and model._meta.can_migrate(connections[database]):
                    editor.create_model(model)
        emit_post_migrate_signal(verbosity=0, interactive=False, db=database, plan=[])


@contextmanager
def from_models() -> Iterator[None]:
    """Test databases that are made within get their tables so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(get_commands(), "migrate", FromModels())
        yield
