"""Customers from files: who is registered, what is refused, and that nothing of an erased person stays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.core import mail

from contexts.customers import services
from contexts.customers.models import Customer, Import, ImportLine, ImportPiece, OutboxEvent, Trail
from contexts.customers.public.events import CustomerErased
from contexts.orders.local import LocalOrders
from eci.calls import rpc
from tests.support.imports import Importing, csv
from tests.support.shop import Shop


@pytest.fixture
def importing(api: Any) -> Importing:
    return Importing(api, kind="customers")


def people() -> list[tuple[str, str, str]]:
    return list(Customer.objects.filter(erased_at=None).order_by("pk").values_list("email", "full_name", "phone"))


def test_people_are_registered_once_by_their_address(importing: Importing) -> None:
    content = csv(
        "Email,First Name,Last Name,Phone",
        "ann@example.com,Ann,Lee,'+372 555 0100",
        "Ann@Example.com,Ann,Lee,'+372 555 0100",
        "bob@straße.de,Bob,,",
        "nobody,No,Body,",
        "kim@example.com,,,",
    )
    read = importing.read(content)
    assert [outcome for _, outcome in importing.outcomes(read["import_id"])] == [
        *("new", "skipped", "new", "refused", "refused")
    ]
    importing.apply(read["import_id"])
    assert people() == [("ann@example.com", "Ann Lee", "+372 555 0100"), ("bob@xn--strae-oqa.de", "Bob", "")]
    login = importing.api.post("/v1/users/login", {"email": "ann@example.com", "password": "x"})
    assert (login.status, mail.outbox) == (401, []), "nobody has a password, and nobody gets a mail"
    assert importing.read(content)["counts"]["same"] == 2


def test_names_change_and_are_restored(importing: Importing) -> None:
    person = {"email": "ann@example.com", "full_name": "Ann", "password": "pass123"}
    importing.api.post("/v1/users/register", person)
    done = importing.take(csv("email,full_name,phone", "ANN@example.com,Ann Lee,", "bob@example.com,Bob,"))
    assert [name for _, name, _ in people()] == ["Ann Lee", "Bob"]
    importing.undo(done["import_id"])
    assert people() == [("ann@example.com", "Ann", "")], "who was new is erased"


def test_an_export_comes_back_unchanged(importing: Importing) -> None:
    importing.take(csv("email,full_name,phone", "ann@example.com,=Ann,+372 555 0100", "bob@example.com,Bob,"))
    before = list(Customer.objects.order_by("pk").values())
    answer = importing.api.client.get("/v1/customers/export")
    read = importing.read(b"".join(answer.streaming_content))
    assert (read["detected"]["preset"], read["counts"]["same"]) == ("ECI customers", 2)
    importing.apply(read["import_id"])
    assert list(Customer.objects.order_by("pk").values()) == before


def test_erasing_a_person_erases_what_imports_say_of_them(importing: Importing) -> None:
    content = csv("email,full_name", "ann@example.com,Ann Lee", "bob@example.com,Bob")
    importing.take(content)
    importing.read(content)
    importing.take(csv("email,full_name", "ann@example.com,Ann Lee", "ann@example.com,Ann Li"), name="twice.csv")
    ann = Customer.objects.get(email="ann@example.com")
    services.erase_customer(customer_id=ann.pk, actor="staff:kim")
    left = [str(row) for row in ImportLine.objects.values()]
    assert [row for row in left if "ann" in row.lower()] == []
    assert ImportPiece.objects.count() == 0
    assert any("bob@example.com" in row for row in left)


def test_what_was_refused_of_an_erased_person_goes_too(importing: Importing) -> None:
    importing.take(csv("email,full_name", "ann@example.com,Ann Lee"))
    importing.read(csv("email,full_name,phone", "Ann@Example.com,Ann Lee,12"), name="refused.csv")
    assert [row["outcome"] for row in importing.rows(f"customers-{Import.objects.latest('pk').pk}")] == ["refused"]
    services.erase_customer(customer_id=Customer.objects.get().pk, actor="staff:kim")
    assert [row for row in map(str, ImportLine.objects.values()) if "ann" in row.lower()] == []


def test_what_names_an_erased_person_in_no_address_goes_too(importing: Importing) -> None:
    importing.take(csv("email,full_name", "ann@example.com,Ann Lee"))
    rows = ["Ann <Ann@Example.com>,Ann Li,", "joann@example.com,Jo,1", "bob@example.com,Bob (ann@example.com),1"]
    importing.read(csv("email,full_name,phone", *rows), name="odd.csv")
    services.erase_customer(customer_id=Customer.objects.get().pk, actor="staff:kim")
    left = [row["cells"][0] for row in ImportLine.objects.order_by("pk").values() if row["cells"]]
    assert left == ["joann@example.com"]
    assert ImportPiece.objects.count() == 0


def test_who_is_erased_by_undoing_is_in_no_other_import(importing: Importing) -> None:
    done = importing.take(csv("email,full_name", "ann@example.com,Ann", "bob@example.com,Bob", "jo@example.com,Jo"))
    refused = ["Ann <Ann@Example.com>,Ann", "joann@example.com (x),Jo", "Bob bob@example.com,Bob"]
    importing.read(csv("email,full_name", *refused), name="odd.csv")
    services.update_customer(customer_id=Customer.objects.get(full_name="Jo").pk, actor="staff:kim", full_name="Joe")
    undone = importing.undo(done["import_id"])
    assert (undone["counts"]["undone"], undone["counts"]["kept"]) == (2, 1)
    assert [row.cells for row in ImportLine.objects.exclude(cells=None)] == [["joann@example.com (x)", "Jo"]]
    assert [row.key for row in ImportLine.objects.exclude(key="")] == ["jo@example.com"]
    erased = Customer.objects.exclude(erased_at=None)
    assert {(one.email, one.full_name, one.email_key == f"erased:{one.pk}") for one in erased} == {("", "", True)}
    told = Trail.objects.filter(action="erased").values_list("thing", flat=True)
    assert set(told) == {f"customer:{one.pk}" for one in erased}
    assert OutboxEvent.objects.filter(name=CustomerErased.NAME).values("aggregate_id").distinct().count() == 2


def test_who_was_erased_is_not_registered_by_what_was_read_before(importing: Importing) -> None:
    content = csv("email,full_name", "ann@example.com,Ann Li", "bob@example.com,Bob")
    importing.take(csv("email,full_name", "ann@example.com,Ann Lee"))
    read = importing.read(content, name="next.csv")
    services.erase_customer(customer_id=Customer.objects.get().pk, actor="staff:kim")
    done = importing.apply(read["import_id"])
    assert (done["status"], people()) == ("APPLIED", [("bob@example.com", "Bob", "")])
    assert importing.rows(read["import_id"], "&outcome=refused") == []


def test_people_of_an_order_file_stand_in_the_first_row_of_each_order(importing: Importing) -> None:
    content = csv(
        "Name,Email,Financial Status,Total,Lineitem quantity,Lineitem name,Lineitem price,"
        "Billing Name,Shipping Name,Phone",
        "#1001,ann@example.com,paid,30.00,1,Tee,20.00,Ann Lee,Ann Lee,+372 555 0100",
        "#1001,,,,1,Mug,10.00,,,",
        "#1002,bob@example.com,paid,10.00,1,Mug,10.00,,Bob,",
        "#1003,ann@example.com,paid,5.00,1,Cup,5.00,Ann Lee,Ann Lee,+372 555 0100",
        "#1004,,paid,5.00,1,Cup,5.00,,,",
    )
    read = importing.read(content)
    assert read["detected"]["preset"] == "Shopify orders"
    assert [outcome for _, outcome in importing.outcomes(read["import_id"])] == [
        *("new", "skipped", "new", "skipped", "refused"),
    ]
    importing.apply(read["import_id"])
    assert people() == [("ann@example.com", "Ann Lee", "+372 555 0100"), ("bob@example.com", "Bob", "")]


@pytest.mark.any_engine
def test_further_lines_of_an_order_say_nothing_else(importing: Importing) -> None:
    header = "Name,Email,Billing Name,Phone,Lineitem name,Lineitem quantity"
    rows = [
        "#1001,pat@x.example,Pat,+3725550000,Lamp,1",
        "#1001,pat@x.example,,,Rug,2",
        "#1002,pat@x.example,Pat,,Rug,1",
    ]
    read = importing.read(csv(header, *rows, "#1003,pat@x.example,Kim,,Rug,1"))
    assert [outcome for _, outcome in importing.outcomes(read["import_id"])] == ["new", "skipped", "skipped", "refused"]


@pytest.mark.any_engine
def test_a_repeated_row_that_says_more_can_be_sent_again(importing: Importing) -> None:
    read = importing.read(csv("email,full_name,phone", "pat@x.example,Pat,", "pat@x.example,Pat,+3725550000"))
    [refused] = importing.rows(read["import_id"], "&outcome=refused")
    assert "where phone is blank" in refused["messages"][0]


@pytest.mark.any_engine
def test_what_was_warned_of_does_not_keep_the_name_of_an_erased_person(importing: Importing) -> None:
    importing.take(csv("email,full_name", "ann@example.com,Ann Lee"))
    importing.read(csv("email,full_name,phone,friend", "jo@example.com,Jo,1E5,ann@example.com"))
    services.erase_customer(customer_id=Customer.objects.get().pk, actor="staff:kim")
    [line] = ImportLine.objects.filter(key="jo@example.com").values()
    assert (line["warned"], line["cells"], line["outcome"]) == (True, None, "new")


class Asked(LocalOrders):
    """Orders that remembers how often it was asked who has some."""

    def __init__(self) -> None:
        self.times = 0

    def who_ordered(self, *, customer_ids: Iterable[int]) -> tuple[int, ...]:
        self.times += 1
        return super().who_ordered(customer_ids=customer_ids)


def test_who_has_an_order_or_a_payment_since_is_not_erased_by_undoing(shop: Shop) -> None:
    importing = Importing(shop.api, kind="customers")
    done = importing.take(csv("email,full_name", *(f"{name}@example.com,{name}" for name in ("bo", "cy", "di", "ed"))))
    bo, cy, di, ed = (Customer.objects.get(full_name=name).pk for name in ("bo", "cy", "di", "ed"))
    line = {"product_id": shop.product_id, "quantity": 1}
    assert shop.api.post("/v1/orders", {"customer_id": bo, "items": [line]}).status == 201
    assert shop.api.post("/v1/orders", {"customer_id": cy, "items": [line], "pay_later": True}).status == 201
    paid = {"order_id": "SHOP-7", "amount": "5.00", "customer_id": di}
    assert shop.api.post("/v1/payments/charge", paid).status == 200
    asked = Asked()
    with rpc.replaced("orders", asked):
        undone = importing.undo(done["import_id"])
    assert (undone["counts"]["undone"], undone["counts"]["kept"]) == (1, 3)
    kept = {row["key"]: row["messages"][-1] for row in importing.rows(done["import_id"], "&state=kept")}
    why = "Kept: the person has an order or a payment."
    assert kept == dict.fromkeys(("bo@example.com", "cy@example.com", "di@example.com"), why)
    assert list(Customer.objects.exclude(erased_at=None).values_list("pk", flat=True)) == [ed]
    assert asked.times == 1, "one question for all"
