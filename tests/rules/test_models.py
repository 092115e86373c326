"""What the import linter cannot see: models and transactions reached by name, relations, columns, folders."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models

from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

_BACK_DOORS = {"get_model", "import_string", "import_module", "atomic", "on_commit", "delay_on_commit"}
_ALLOWED = {
    ("eci/db.py", "atomic"),
    ("eci/idempotency.py", "get_model"),  # this context's own table, whose name the kernel knows
    ("eci/outbox.py", "get_model"),
    ("eci/erasure.py", "get_model"),
    ("eci/imports/rows.py", "get_model"),
    ("eci/intake.py", "get_model"),  # of the context whose migration, or whose trail, names them
    ("eci/trail.py", "get_model"),
    ("eci/totals.py", "get_model"),
    ("eci/staff_forms.py", "get_model"),
    ("eci/calls/service_tokens.py", "get_model"),
    ("config/operations/management/commands/contracts.py", "import_module"),  # of each context's public part
}


def context_models() -> list[type[models.Model]]:
    return [model for context in settings.ECI_CONTEXTS for model in apps.get_app_config(context).get_models()]


def fields() -> Iterator[tuple[str, models.Field]]:
    for model in context_models():
        for field in model._meta.get_fields(include_hidden=True):
            if isinstance(field, models.Field):
                yield f"{model._meta.label}.{field.name}", field


def test_every_context_has_models() -> None:
    assert {model._meta.app_label for model in context_models()} == set(settings.ECI_CONTEXTS)


def test_no_relation_crosses_a_context() -> None:
    relations = [(name, field) for name, field in fields() if field.is_relation]
    assert relations
    crossing = [name for name, field in relations if name.split(".")[0] != field.related_model._meta.app_label]
    assert crossing == []


def test_tables_carry_their_context_in_their_name() -> None:
    tables = [(model._meta.app_label, model._meta.db_table) for model in context_models()]
    assert [table for context, table in tables if not table.startswith(f"{context}_")] == []


def test_money_is_an_integer_of_minor_units() -> None:
    inexact = (models.FloatField, models.DecimalField)
    assert [name for name, field in fields() if isinstance(field, inexact)] == []
    minor = [(name, field) for name, field in fields() if name.endswith("_minor")]
    assert minor
    assert [name for name, field in minor if not isinstance(field, models.BigIntegerField)] == []
    words = ("amount", "price", "total", "fee", "tax", "subtotal")
    unnamed = [
        name
        for name, field in fields()
        if isinstance(field, models.IntegerField) and name.rpartition(".")[2].endswith(words)
    ]
    assert unnamed == [], "an amount's column says that it holds minor units"


def test_an_amount_has_its_currency_beside_it() -> None:
    parents = {"OrderLine": "Order", "Return": "Order", "ReturnLine": "Order", "Refund": "Payment"}
    for model in context_models():
        names = {field.name for field in model._meta.get_fields()}
        if any(name.endswith("_minor") for name in names):
            owner = apps.get_model(model._meta.app_label, parents.get(model.__name__, model.__name__))
            assert "currency" in {field.name for field in owner._meta.get_fields()}, model._meta.label


def test_no_unique_constraint_has_a_condition() -> None:
    conditional = [
        constraint.name
        for model in context_models()
        for constraint in model._meta.constraints
        if isinstance(constraint, models.UniqueConstraint) and constraint.condition is not None
    ]
    assert conditional == [], "MySQL ignores them"


def back_doors(source: str) -> set[str]:
    """Names in the code by which a border or the right database can be missed."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found.update(alias.name.rpartition(".")[2] for alias in node.names)
    return found & _BACK_DOORS


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from django.db import transaction\nwith transaction.atomic(): pass", {"atomic"}),
        ("from django.db.transaction import atomic as one", {"atomic"}),
        ("import django.db.transaction as t\nt.on_commit(print)", {"on_commit"}),
        ("task.delay_on_commit()", {"delay_on_commit"}),
        ("apps.get_model('orders', 'Order')", {"get_model"}),
        ("from django.utils.module_loading import import_string", {"import_string"}),
        ("from importlib import import_module", {"import_module"}),
        ("'atomic'  # atomic", set()),
    ],
)
def test_back_doors_are_seen(source: str, names: set[str]) -> None:
    assert back_doors(source) == names


def test_no_back_door_is_used() -> None:
    used = {
        (str(path.relative_to(ROOT)), name)
        for folder in ("eci", "contexts", "config")
        for path in (ROOT / folder).rglob("*.py")
        for name in back_doors(path.read_text())
        # Their own tables, as they were then; and whether all of one is a transaction.
        if not (name in ("get_model", "atomic") and path.parent.name == "migrations")
    }
    assert used - _ALLOWED == set()
    assert _ALLOWED - used == set(), "no longer needed"


def test_every_folder_of_code_is_a_package() -> None:
    def folders() -> Iterator[Path]:
        for root in ("eci", "contexts", "config", "tests"):
            yield from {path.parent for path in (ROOT / root).rglob("*.py")}

    assert [str(folder.relative_to(ROOT)) for folder in folders() if not (folder / "__init__.py").exists()] == []
