"""Staff's groups get their permissions, however the databases were made; a changed group is the administrator's."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from config.staff import accounts, groups
from config.staff.models import Grant
from eci.identity.roles import GROUPS


def codes(name: str) -> set[str]:
    pairs = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{code}" for app, code in pairs}


def test_permissions_that_were_never_made_are_made() -> None:
    Permission.objects.all().delete()
    accounts.prepare()
    assert {"catalog.change_product", "catalog.add_product"} <= codes("catalog staff")
    assert {"inventory.change_stock", "shipping.view_shipment", "catalog.view_product"} <= codes("stock staff")
    assert "catalog.change_product" not in codes("stock staff")
    assert {"customers.view_customer", "orders.view_order", "payments.view_payment"} <= codes("support staff")
    assert codes("services") == set()


def test_groups_that_are_there_and_empty_are_filled() -> None:
    for name in GROUPS:
        Group.objects.create(name=name)
    call_command("prepare_staff")
    assert {name: bool(codes(name)) for name in GROUPS} == {name: name != "services" for name in GROUPS}


def test_a_group_that_an_administrator_has_changed_is_left_alone() -> None:
    accounts.prepare()
    stock, support = Group.objects.get(name="stock staff"), Group.objects.get(name="support staff")
    stock.permissions.remove(Permission.objects.get(codename="view_shipment"))
    support.permissions.add(Permission.objects.get(codename="view_product"))
    before = codes("stock staff"), codes("support staff")
    accounts.prepare()
    assert (codes("stock staff"), codes("support staff")) == before


def test_so_is_one_that_an_administrator_has_filled() -> None:
    by_hand = Group.objects.create(name="stock staff")
    by_hand.permissions.add(Permission.objects.get(codename="view_stock"))
    accounts.prepare()
    assert codes("stock staff") == {"inventory.view_stock"}


def test_a_new_release_s_pages_come_to_unchanged_groups() -> None:
    accounts.prepare()
    whole = codes("stock staff")
    later = Permission.objects.get(codename="view_movement")
    group = Group.objects.get(name="stock staff")
    group.permissions.remove(later)
    Grant.objects.filter(group=group).update(permissions=sorted(whole - {"inventory.view_movement"}))
    accounts.prepare()
    assert codes("stock staff") == whole


VERBS = {"orders.cancel", "orders.return", "orders.note", "orders.repair", "payments.refund", "payments.review"}


def test_support_has_the_verbs_and_nobody_else() -> None:
    accounts.prepare()
    assert VERBS | {"notifications.send_again"} <= codes("support staff")
    assert not (VERBS | {"notifications.send_again"}) & (codes("stock staff") | codes("catalog staff"))


def test_who_could_do_it_before_it_had_a_verb_still_can() -> None:
    night = Group.objects.create(name="night shift")
    night.permissions.add(Permission.objects.get(codename="change_order"))
    ann = User.objects.create_user("ann", is_staff=True)
    ann.user_permissions.add(Permission.objects.get(codename="change_payment"))
    accounts.prepare()
    assert codes("night shift") == {"orders.change_order", "orders.cancel", "orders.return"}
    assert User.objects.get(pk=ann.pk).has_perm("payments.refund")
    night.permissions.remove(Permission.objects.get(codename="cancel"))
    accounts.prepare()
    assert codes("night shift") == {"orders.change_order", "orders.return"}, "what was taken away stays away"


def test_migrating_a_context_s_own_database_makes_them() -> None:
    Permission.objects.filter(content_type__app_label="inventory").delete()
    groups.after_migrate(apps.get_app_config("inventory"), "orders", plan=[])
    assert not Permission.objects.filter(codename="change_stock").exists()
    groups.after_migrate(apps.get_app_config("inventory"), "inventory", plan=[])
    assert Permission.objects.filter(codename="change_stock").exists()


def test_a_context_is_migrated_while_the_platform_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **kwargs: Any) -> list[str]:
        raise OperationalError("away")

    monkeypatch.setattr(connections[DEFAULT_DB_ALIAS].introspection, "table_names", away)
    groups.after_migrate(apps.get_app_config("inventory"), "inventory", plan=[])
