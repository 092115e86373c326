"""Metadata of customers: staff's, merged, erased with the person, and in the person's export."""

from __future__ import annotations

from contexts.customers.models import Customer, Trail
from tests.support import people


def test_staff_merges_it_and_the_version_follows() -> None:
    person, staff = people.customer("ann@example.com"), people.staff("P")
    path = f"/v1/customers/{person.customer_id}"
    assert staff.patch(path, {"metadata": {"crm": "7", "pos": "4"}}).data["metadata"] == {"crm": "7", "pos": "4"}
    changed = staff.patch(path, {"metadata": {"pos": None}})
    assert (changed.data["metadata"], changed.headers["ETag"]) == ({"crm": "7"}, '"3"')
    assert staff.patch(path, {"metadata": {"crm": "7"}}).headers["ETag"] == '"3"', "no change"
    assert staff.get(path).data["metadata"] == {"crm": "7"}
    assert staff.get("/v1/customers").data[0]["metadata"] == {"crm": "7"}


def test_its_customer_does_not_write_it_but_is_told_of_it() -> None:
    person, staff = people.customer("ann@example.com"), people.staff("P")
    staff.patch(f"/v1/customers/{person.customer_id}", {"metadata": {"crm": "7"}})
    assert "metadata" not in person.patch("/v1/users/me", {"metadata": {"crm": "8"}}).data
    assert person.get("/v1/users/me/export").data["customer"]["metadata"] == {"crm": "7"}


def test_it_is_erased_with_the_person() -> None:
    person, staff = people.customer("ann@example.com"), people.staff("P")
    staff.patch(f"/v1/customers/{person.customer_id}", {"metadata": {"name": "Ann"}})
    person.delete("/v1/users/me")
    assert Customer.objects.get(pk=person.customer_id).metadata is None
    assert not any("Ann" in str((line.before, line.after)) for line in Trail.objects.all())
