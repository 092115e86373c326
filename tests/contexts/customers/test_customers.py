"""Registration, the staff's view of customers, and the contract."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.contrib.auth.hashers import check_password
from django.db import connections
from django.test.utils import CaptureQueriesContext

from config import settings as product
from contexts.customers.models import Customer, Idempotency
from contexts.customers.public.api import customers
from contexts.customers.public.contracts import CustomerNotFound
from eci.clock import utcnow
from eci.db import unit_of_work
from eci.identity.passwords import hash_password, matches

ANN = {"email": "Ann@Example.com", "full_name": "Ann Other", "password": "pass123", "phone": "+1 555-0100"}
UNKNOWN = 999_999


@pytest.fixture
def ann(api: Any) -> dict[str, Any]:
    answer = api.post("/v1/users/register", ANN)
    assert answer.status == 201, answer.json
    return answer.data


def register(api: Any, email: str) -> dict[str, Any]:
    return api.post("/v1/users/register", ANN | {"email": email}).data


class TestRegistering:
    def test_answers_the_person_without_the_password(self, ann: dict[str, Any]) -> None:
        assert ann.pop("created_at") == ann.pop("updated_at")
        assert ann.pop("customer_id") > 0
        assert ann == {
            "email": "Ann@example.com",
            "new_email": None,
            "full_name": "Ann Other",
            "phone": "+1 555-0100",
            "email_verified": False,
        }

    def test_the_phone_is_optional(self, api: Any) -> None:
        body = {name: value for name, value in ANN.items() if name != "phone"}
        assert api.post("/v1/users/register", body).data["phone"] == ""

    def test_the_password_is_kept_as_an_argon2id_hash(self, api: Any, settings: Any) -> None:
        settings.PASSWORD_HASHERS = product.PASSWORD_HASHERS
        assert api.post("/v1/users/register", ANN).status == 201
        stored = Customer.objects.get().password
        assert stored.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
        assert check_password("pass123", stored)

    def test_spaces_belong_to_a_password(self, api: Any) -> None:
        api.post("/v1/users/register", ANN | {"password": " pass 123 "})
        assert check_password(" pass 123 ", Customer.objects.get().password)

    def test_the_same_address_in_any_case_is_a_conflict(self, api: Any, ann: dict[str, Any]) -> None:
        again = api.post("/v1/users/register", ANN | {"email": "aNN@eXAMPLE.COM"})
        assert (again.status, again.code) == (409, "duplicate_email")
        assert Customer.objects.count() == 1

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("email", "nobody"),
            ("email", "a@b"),
            ("email", "a b@example.com"),
            ("email", '"a\x01b"@example.com'),
            ("email", "a@example.com\nBcc: x@example.com"),
            ("email", "x" * 65 + "@example.com"),
            ("email", "x@" + "y" * 60 + ("." + "y" * 60) * 4 + ".com"),
            ("email", ""),
            ("email", None),
            ("email", 5),
            ("email", ["a@example.com"]),
            ("full_name", ""),
            ("full_name", "   "),
            ("full_name", "x" * 501),
            ("full_name", 5),
            ("phone", "1234"),
            ("phone", "123456789012345678901"),
            ("phone", "call me"),
            ("phone", "-----"),
            ("phone", "\u0661\u0662\u0663\u0664\u0665"),
            ("phone", 5550100),
            ("phone", None),
            ("password", "short"),
            ("password", ""),
            ("password", None),
            ("password", 1234567),
            ("password", "x" * 201),
        ],
    )
    def test_refuses_bad_fields_by_name(self, api: Any, field: str, value: Any) -> None:
        answer = api.post("/v1/users/register", ANN | {field: value})
        assert (answer.status, answer.code, list(answer.details)) == (400, "validation_error", [field])
        assert not Customer.objects.exists()

    @pytest.mark.parametrize("field", ["email", "full_name", "phone", "password"])
    def test_refuses_nul(self, api: Any, field: str) -> None:
        assert api.post("/v1/users/register", ANN | {field: "pass\x00123"}).status == 400

    @pytest.mark.parametrize("field", ["email", "full_name", "password"])
    def test_names_a_missing_field(self, api: Any, field: str) -> None:
        body = {name: value for name, value in ANN.items() if name != field}
        assert list(api.post("/v1/users/register", body).details) == [field]

    def test_without_open_mode_anybody_registers_but_not_with_a_weak_password(self, api: Any, settings: Any) -> None:
        settings.ECI_OPEN = False
        for weak in ("pass123", "password", "12345678"):
            answer = api.post("/v1/users/register", ANN | {"password": weak})
            assert (answer.status, list(answer.details)) == (400, ["password"]), weak
        assert api.post("/v1/users/register", ANN | {"password": "correct horse"}).status == 201


class TestIdempotency:
    def test_the_same_request_gets_the_first_answer_again(self, api: Any) -> None:
        first = api.post("/v1/users/register", ANN, key="k")
        again = api.post("/v1/users/register", ANN, key="k")
        assert (again.status, again.data) == (201, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"

    def test_another_request_with_the_key_is_refused(self, api: Any) -> None:
        api.post("/v1/users/register", ANN, key="k")
        assert api.post("/v1/users/register", ANN | {"full_name": "Bob"}, key="k").status == 422

    def test_another_password_is_another_request(self, api: Any) -> None:
        api.post("/v1/users/register", ANN, key="k")
        other = api.post("/v1/users/register", ANN | {"password": "other-pass"}, key="k")
        assert (other.status, other.code) == (422, "idempotency_key_reused")

    def test_a_conflict_is_remembered(self, api: Any, ann: dict[str, Any]) -> None:
        answers = [api.post("/v1/users/register", ANN, key="k") for _ in range(2)]
        assert [(answer.status, answer.code) for answer in answers] == [(409, "duplicate_email")] * 2
        assert answers[1].headers["Idempotent-Replayed"] == "true"

    def test_the_kept_digest_says_nothing_of_the_password(self, api: Any) -> None:
        for key, password in (("k1", "pass123"), ("k2", "other-pass")):
            api.post("/v1/users/register", ANN | {"password": password}, key=key)
        one, two = Idempotency.objects.order_by("key")
        assert one.fingerprint == two.fingerprint
        assert "pass" not in one.answer


class TestSecrecy:
    def test_no_log_line_holds_a_password(self, api: Any, caplog: pytest.LogCaptureFixture) -> None:
        for logger in ("", "eci.access", "django.request"):
            caplog.set_level(logging.DEBUG, logger=logger)
        for body in (ANN | {"password": "Hush-Secret-1"}, ANN | {"password": "Hush-Secret-1", "email": "x"}):
            api.post("/v1/users/register", body, key="k")
        api.post("/v1/users/register", b'{"password": "Hush-Secret-1", ')
        said = "".join(repr(vars(record)) for record in caplog.records)
        assert "users/register" in said
        assert "Hush-Secret-1" not in said

    def test_no_answer_holds_the_password_or_its_hash(self, api: Any, ann: dict[str, Any]) -> None:
        path = f"/v1/customers/{ann['customer_id']}"
        answers = [
            api.get("/v1/customers"),
            api.get(path),
            api.patch(path, {"full_name": "New", "password": "changed-1"}),
            api.post("/v1/users/register", ANN),
            api.post("/v1/users/register", ANN | {"email": "x"}),
        ]
        for answer in answers:
            text = json.dumps(answer.json)
            assert "pass123" not in text
            assert "argon2" not in text
        assert check_password("pass123", Customer.objects.get().password)

    def test_hashing_inside_a_transaction_is_refused(self) -> None:
        with unit_of_work("customers"):
            with pytest.raises(RuntimeError):
                hash_password("pass123")
            with pytest.raises(RuntimeError):
                matches("pass123", None)


class TestStaffView:
    def test_list_newest_first_in_stable_pages(self, api: Any) -> None:
        for number in range(3):
            register(api, f"c{number}@example.com")
        first = api.get("/v1/customers?limit=2")
        register(api, "late@example.com")
        parts = urlsplit(first.json["meta"]["next"])
        second = api.get(f"{parts.path}?{parts.query}")
        pages = [[row["email"][:2] for row in answer.data] for answer in (first, second)]
        assert pages == [["c2", "c1"], ["c0"]]
        assert [row["email"][:2] for row in api.get("/v1/customers?ordering=created_at").data] == [
            "c0",
            "c1",
            "c2",
            "la",
        ]

    def test_found_by_address_in_any_case(self, api: Any, ann: dict[str, Any]) -> None:
        register(api, "bob@example.com")
        for email, found in (("ANN@example.com", [ann]), ("ann@example", []), ("%", [])):
            rows = api.get(f"/v1/customers?{urlencode({'email': email})}").data
            assert [row["customer_id"] for row in rows] == [one["customer_id"] for one in found]

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=x", "ordering=email", "nonsense=1"])
    def test_bad_parameters_are_named(self, api: Any, query: str) -> None:
        answer = api.get(f"/v1/customers?{query}")
        assert (answer.status, list(answer.details)) == (400, [query.split("=")[0]])

    def test_one(self, api: Any, ann: dict[str, Any]) -> None:
        assert api.get(f"/v1/customers/{ann['customer_id']}").data == ann | {"is_blocked": False, "metadata": {}}

    @pytest.mark.parametrize("reference", [str(UNKNOWN), "0", "abc", "-1", "9" * 30])
    def test_what_is_unknown_is_a_404(self, api: Any, reference: str) -> None:
        for answer in (api.get(f"/v1/customers/{reference}"), api.patch(f"/v1/customers/{reference}", {"phone": ""})):
            assert (answer.status, answer.code) == (404, "not_found")

    def test_patch(self, api: Any, ann: dict[str, Any]) -> None:
        path = f"/v1/customers/{ann['customer_id']}"
        data = api.patch(path, {"email": "new@example.com", "phone": ""}).data
        changed = {"new_email": "new@example.com", "phone": "", "is_blocked": False, "metadata": {}}
        assert data == ann | changed | {"updated_at": data["updated_at"]}
        assert api.get(path).data == data
        assert api.patch(path, {}).data == data
        assert api.post("/v1/users/register", ANN).status == 409

    def test_an_address_may_change_its_case_but_not_be_anothers(self, api: Any, ann: dict[str, Any]) -> None:
        register(api, "bob@example.com")
        path = f"/v1/customers/{ann['customer_id']}"
        assert api.patch(path, {"email": "ANN@EXAMPLE.COM"}).data["email"] == "ANN@example.com"
        taken = api.patch(path, {"email": "BOB@example.com", "full_name": "X"})
        assert (taken.status, taken.code) == (409, "duplicate_email")
        assert api.get(path).data["full_name"] == "Ann Other"

    @pytest.mark.parametrize("tag", ['"2"', '"nope"', "nope"])
    def test_another_version_is_not_changed(self, api: Any, ann: dict[str, Any], tag: str) -> None:
        path = f"/v1/customers/{ann['customer_id']}"
        assert api.get(path).headers["ETag"] == '"1"'
        refused = api.patch(path, {"is_blocked": True}, **{"If-Match": tag})
        assert (refused.status, refused.code) == (412, "precondition_failed")
        assert api.patch(path, {"is_blocked": True}, **{"If-Match": '"1"'}).headers["ETag"] == '"2"'
        late = api.patch(path, {"is_blocked": False}, **{"If-Match": '"1"'})
        assert (late.status, api.get(path).data["is_blocked"]) == (412, True)
        assert api.patch(path, {"is_blocked": True}).headers["ETag"] == '"2"', "nothing changed"

    @pytest.mark.parametrize("body", [{"email": "x"}, {"full_name": ""}, {"phone": "x"}, {"full_name": None}])
    def test_patch_refuses_bad_fields(self, api: Any, ann: dict[str, Any], body: dict[str, Any]) -> None:
        answer = api.patch(f"/v1/customers/{ann['customer_id']}", body)
        assert (answer.status, list(answer.details)) == (400, list(body))

    def test_only_staff_may(self, api: Any, ann: dict[str, Any], settings: Any) -> None:
        settings.ECI_OPEN = False
        path = f"/v1/customers/{ann['customer_id']}"
        paths = ["/v1/customers", path, f"{path}/addresses", f"{path}/addresses/1"]
        assert {api.get(each).status for each in paths} <= {401, 403}
        assert api.patch(path, {"full_name": "X"}).status in (401, 403)


class TestContract:
    def test_one_select(self, ann: dict[str, Any]) -> None:
        with CaptureQueriesContext(connections["customers"]) as queries:
            customer = customers.customer(customer_id=ann["customer_id"])
        assert len(queries) == 1
        assert (customer.email, customer.full_name, customer.phone) == ("Ann@example.com", "Ann Other", "+1 555-0100")

    def test_several_at_once(self, ann: dict[str, Any]) -> None:
        known = ann["customer_id"]
        with CaptureQueriesContext(connections["customers"]) as queries:
            found = customers.customers(customer_ids=[known, UNKNOWN])
        assert (len(queries), found) == (1, (customers.customer(customer_id=known),))
        Customer.objects.update(erased_at=utcnow())
        assert customers.customers(customer_ids=[known]) == ()

    def test_the_unknown_and_the_erased(self, api: Any, ann: dict[str, Any]) -> None:
        with pytest.raises(CustomerNotFound, match=str(UNKNOWN)) as refusal:
            customers.customer(customer_id=UNKNOWN)
        assert refusal.value.details == {"customer_id": UNKNOWN}
        Customer.objects.update(erased_at=utcnow())
        with pytest.raises(CustomerNotFound):
            customers.customer(customer_id=ann["customer_id"])
        path = f"/v1/customers/{ann['customer_id']}"
        assert [api.get(path).status, api.patch(path, {"phone": ""}).status] == [404, 404]
        assert api.get("/v1/customers").data == []

    def test_found_by_the_whole_address_or_its_beginning(self, api: Any, ann: dict[str, Any]) -> None:
        longer = register(api, "ann@example.com.au")["customer_id"]
        register(api, "bob@example.com")
        found = (ann["customer_id"], longer)
        assert customers.customer_ids_by_email(email="ANN@example.com") == found
        assert customers.customer_ids_by_email(email="ann@") == found
        assert customers.customer_ids_by_email(email="ann_") == ()
        assert customers.customer_ids_by_email(email="") == ()
        Customer.objects.filter(pk=longer).update(erased_at=utcnow())
        assert customers.customer_ids_by_email(email="ann") == (ann["customer_id"],)
