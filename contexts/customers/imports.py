"""What customers takes from files: people, by their e-mail addresses. None gets a password, and none gets a mail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contexts.customers import selectors, services
from contexts.customers.domain import email_key
from contexts.customers.services import Planned
from eci import erasure, text
from eci.identity.roles import Role, only
from eci.imports import values, words
from eci.imports.kinds import Cells, Field, Kind, Preset, Skip, Values, Verdict, plain, refused
from eci.imports.rows import ImportLineRow, Outcome
from eci.imports.values import Reading


def _email(cell: str, reading: Reading) -> str:
    return text.email(cell)


def _full_name(cell: str, reading: Reading) -> str:
    return values.line(cell, reading, limit=text.NAME)


def _phone(cell: str, reading: Reading) -> str | None:
    if values.was_a_number(cell):
        reading.warn(f"phone: a spreadsheet has shortened {values.quoted(cell)}, so it is left out.")
        return None
    return text.phone(cell)


def _two_names(cells: Cells, first: Cells) -> Cells | Skip:
    both = [cells.get("first name", ""), cells.get("last name", "")]
    return cells | {"full_name": " ".join(filter(None, both))}


def _orderer(cells: Cells, first: Cells) -> Cells | Skip:
    """An order has a row for each line, of which the first alone may say whose it is."""
    if cells is not first and not cells.get("email"):
        return Skip("This row is a further line of the order.")
    return cells


_OWN = {"email": "email", "fullname": "full_name", "phone": "phone"}


class Customers(Kind):
    """A row is a person, who is registered if nobody has the address. They choose a password by ``password/reset``."""

    name = "customers"
    context = "customers"
    roles = only(Role.SUPPORT)
    keyed = frozenset({"email"})
    fields = (
        Field(
            name="email",
            read=_email,
            needed=True,
            names=("e-mail", "email address", "customer email", "mail", *words.EMAIL),
        ),
        Field(
            name="full_name",
            read=_full_name,
            names=("name", "customer", "customer name", "display name", *words.FULL_NAME),
        ),
        Field(
            name="phone",
            read=_phone,
            cleared="",
            is_code=True,
            names=("telephone", "phone number", "mobile", "billing phone", "default address phone", *words.PHONE),
        ),
    )
    presets = (
        Preset(
            name="ECI customers", signs=(frozenset({*_OWN, "customerid", "isblocked"}),), columns=_OWN, as_written=True
        ),
        Preset(
            name="Shopify orders",
            signs=(frozenset({"name", "email", "lineitemname", "lineitemquantity"}),),
            columns={
                "name": "order",
                "email": "email",
                "billingname": "full_name",
                "shippingname": "full_name",
                "phone": "phone",
                "billingphone": "phone",
            },
            group="order",
            shape=_orderer,
        ),
        Preset(
            name="Amazon orders",
            signs=(frozenset({"orderid", "orderitemid", "buyeremail"}),),
            columns={
                "orderid": "order",
                "buyeremail": "email",
                "buyername": "full_name",
                "buyerphonenumber": "phone",
            },
            group="order",
            shape=_orderer,
        ),
        Preset(
            name="Customers with two names",
            signs=(frozenset({"email", "firstname", "lastname"}),),
            columns={
                "email": "email",
                "firstname": "first name",
                "lastname": "last name",
                "phone": "phone",
                "defaultaddressphone": "phone",
                "billingphone": "phone",
                "telephone": "phone",
            },
            shape=_two_names,
        ),
        *(
            Preset(
                name="Customers with two names",
                signs=(frozenset({plain(first), plain(last)}),),
                columns={plain(first): "first name", plain(last): "last name"},
                shape=_two_names,
            )
            for first, last in words.TWO_NAMES
        ),
    )

    def key(self, values: Values) -> str:
        return email_key(values["email"])

    def look(self, rows: Sequence[Values], prepared: Any) -> list[Verdict]:
        return [_verdict(plan) for plan in services.plan_customers(rows=rows)]

    def write(self, rows: Sequence[Values], prepared: Any, *, actor: str) -> list[Verdict]:
        return [_verdict(plan) for plan in services.write_customers(rows=rows, actor=actor)]

    def prepare_restoring(self, lines: Sequence[ImportLineRow]) -> set[int]:
        """Those who have something in another context since."""
        return erasure.tied(selectors.customer_ids_by_key(keys=[line.key for line in lines if _was_new(line)]))

    def restore(self, lines: Sequence[ImportLineRow], prepared: set[int], *, actor: str) -> list[str]:
        done = [(line.key, {name: (old, new) for name, (old, new) in line.changes.items()}) for line in lines]
        kept = services.restore_customers(done=done, tied=prepared, actor=actor)
        return [f"Kept: {why}." if why else "" for why in kept]


def _was_new(line: ImportLineRow) -> bool:
    return line.outcome == Outcome.NEW


def _verdict(plan: Planned) -> Verdict:
    if plan.refusal:
        return refused(plan.refusal)
    changes = {name: [old, new] for name, (old, new) in plan.changes.items()}
    if plan.is_new:
        return Verdict(outcome=Outcome.NEW, changes=changes)
    return Verdict(outcome=Outcome.CHANGED if changes else Outcome.SAME, changes=changes)
