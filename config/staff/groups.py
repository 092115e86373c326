"""Staff's groups and what each may see in the admin.

Permissions are rows of the platform database. Django makes an app's permissions when it migrates that app's database,
and only there; a context's database is another one. So they are made here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission, User
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections

from config.staff.models import Grant, OwnPermission
from eci.db import alias_of, unit_of_work
from eci.identity.roles import GROUPS

# The contexts whose pages are a group's own, and single permissions of others. The pages decide what may be changed.
_PAGES: dict[str, tuple[str, ...]] = {
    "catalog staff": ("catalog",),
    "stock staff": ("inventory", "shipping"),
    "support staff": ("customers", "orders", "payments", "shipping", "notifications"),
    "services": (),
}
_LOOKS: dict[str, tuple[str, ...]] = {"stock staff": ("catalog.view_product", "catalog.view_pricechange")}
# Verbs, and the permission that they were part of in earlier releases.
_WERE_PART_OF = {
    "orders.cancel": "orders.change_order",
    "orders.return": "orders.change_order",
    "payments.refund": "payments.change_payment",
    "payments.review": "payments.change_payment",
}


def make_groups() -> None:
    """Make what is missing of permissions and groups. Groups that an administrator has changed stay as they are, but
    for what they may do already: whoever has a permission gets, once, the verbs that were part of it.

    A group that is empty, or has exactly what it was given here, gets all that is its own.
    """
    make_permissions(apps.get_app_configs())
    known = {f"{one.content_type.app_label}.{one.codename}": one for one in _permissions()}
    with unit_of_work(DEFAULT_DB_ALIAS):
        for name in sorted(GROUPS):
            group, _ = Group.objects.get_or_create(name=name)
            has = {f"{one.content_type.app_label}.{one.codename}" for one in _permissions().filter(group=group)}
            given = Grant.objects.filter(group=group).values_list("permissions", flat=True).first() or []
            own = {code for code in known if _is_of(name, code)}
            if has != own and (not has or has == set(given) & known.keys()):
                group.permissions.set([known[code] for code in own])
                Grant.objects.update_or_create(group=group, defaults={"permissions": sorted(own)})
        _hand_on(known)


def _hand_on(known: dict[str, Permission]) -> None:
    done = set(OwnPermission.objects.values_list("code", flat=True))
    for verb, former in _WERE_PART_OF.items():
        if verb in done or verb not in known:
            continue
        for group in Group.objects.filter(permissions=known[former]):
            group.permissions.add(known[verb])
        for user in User.objects.filter(user_permissions=known[former]):
            user.user_permissions.add(known[verb])
        OwnPermission.objects.create(code=verb)


def _permissions() -> Any:
    return Permission.objects.select_related("content_type")


def _is_of(group: str, code: str) -> bool:
    return code.partition(".")[0] in _PAGES[group] or code in _LOOKS.get(group, ())


def make_permissions(configs: Iterable[AppConfig]) -> None:
    """Make the missing permissions of these apps' models. At most starts none is, which one statement tells."""
    there = set(Permission.objects.values_list("content_type__app_label", "codename"))
    for config in configs:
        if not {(config.label, code) for model in config.get_models() for code in _codes(model._meta)} <= there:
            create_permissions(config, verbosity=0)


def _codes(options: Any) -> list[str]:
    ours = [get_permission_codename(action, options) for action in options.default_permissions]
    return ours + [code for code, _ in options.permissions]


def after_migrate(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """After any ``migrate`` of the app's own database, where the platform's is there to hold its permissions."""
    if using != alias_of(sender.label) or "plan" not in kwargs:  # without a plan it is a flush
        return
    try:
        there = connections[DEFAULT_DB_ALIAS].introspection.table_names()
        if Permission._meta.db_table in there:
            make_permissions([sender])
    except (OperationalError, InterfaceError):
        return  # prepare and prepare_staff make them later
