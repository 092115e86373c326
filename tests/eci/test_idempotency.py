"""A key gets the first answer again for the same request, and nothing for another one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from contexts.catalog.models import Idempotency, Product
from eci import idempotency
from eci.clock import utcnow
from eci.db import unit_of_work
from eci.errors import IdempotencyInProgress, IdempotencyKeyReused
from tests.support.api import Api

LAMP = {"sku": "LAMP", "name": "Lamp", "price": "99.99"}
RESERVE = {"product_id": 1, "quantity": 1}


def key(name: str = "k", fingerprint: str = "f") -> idempotency.Key:
    return idempotency.Key(scope="test:command", key=name, fingerprint=fingerprint)


def finished() -> idempotency.Answer:
    return idempotency.Answer(status=201, body={"data": {"id": 1}})


def test_a_replay_is_the_first_answer(api: Api) -> None:
    first = api.post("/v1/products", LAMP, key="k")
    again = api.post("/v1/products", LAMP, key="k")
    assert (first.status, again.status) == (201, 201)
    assert again.data == first.data
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert Product.objects.count() == 1


def test_the_same_request_is_recognised_however_it_is_written(api: Api) -> None:
    first = api.post("/v1/products", LAMP | {"price": "1.50"}, key="k")
    for body in (
        b'{"price": 1.5, "name": "Lamp", "sku": "LAMP"}',
        b'{ "sku":"LAMP","name":"\\u004camp", "price":1.50, "unknown": 1 }',
    ):
        again = api.post("/v1/products", body, key="k")
        assert (again.status, again.data) == (201, first.data)


def test_the_same_key_for_another_request_is_a_422(api: Api) -> None:
    api.post("/v1/products", LAMP, key="k")
    other = api.post("/v1/products", LAMP | {"price": "1.00"}, key="k")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert api.post("/v1/products", LAMP, key="k").status == 201


def test_the_path_is_part_of_the_request(api: Api) -> None:
    for order_id in ("A", "B"):
        api.post("/v1/payments", {"order_id": order_id, "amount": 5})
    first, second = (row["payment_id"] for row in api.get("/v1/payments").data)
    assert api.post(f"/v1/payments/{first}/refund", {"reason": "r"}, key="k").status == 200
    assert api.post(f"/v1/payments/{second}/refund", {"reason": "r"}, key="k").status == 422


def test_another_endpoint_has_keys_of_its_own(api: Api) -> None:
    assert api.post("/v1/products", LAMP, key="k").status == 201
    assert api.post("/v1/warehouses", {"code": "W", "name": "W"}, key="k").status == 200


def test_another_caller_has_keys_of_their_own(api: Api, settings: Any) -> None:
    settings.ECI_OPEN = False
    group = Group.objects.create(name="catalog staff")
    for name in ("ann", "bob" * 50):
        user = User.objects.create(username=name, is_staff=True)
        user.groups.add(group)
        client = Client()
        client.force_login(user)
        answer = client.post(
            "/v1/products",
            LAMP | {"sku": name[:64]},
            content_type="application/json",
            headers={"Idempotency-Key": "k"},
        )
        assert answer.status_code == 201
    scopes = set(Idempotency.objects.values_list("scope", flat=True))
    assert len(scopes) == 2
    longest = Idempotency._meta.get_field("scope").max_length
    assert max(map(len, scopes)) <= longest, "servers refuse what SQLite keeps"


def test_a_refusal_is_remembered(api: Api) -> None:
    lamp = api.post("/v1/products", LAMP).data["product_id"]
    first = api.post("/v1/products", LAMP, key="k")
    assert (first.status, first.code) == (409, "duplicate_sku")
    api.patch(f"/v1/products/{lamp}", {"sku": "OTHER"})
    again = api.post("/v1/products", LAMP, key="k")
    assert (again.status, again.code, again.error, again.details) == (409, first.code, first.error, first.details)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_404_is_remembered(api: Api) -> None:
    body = {"product_id": 1, "warehouse": "W", "onhand": 1}
    assert api.post("/v1/inventory", body, key="k").status == 404
    lamp = api.post("/v1/products", LAMP).data["product_id"]
    again = api.post("/v1/inventory", body, key="k")
    assert (again.status, again.headers["Idempotent-Replayed"], lamp > 0) == (404, "true", True)


def test_a_400_and_a_415_are_not_kept(api: Api) -> None:
    assert api.post("/v1/products", LAMP | {"price": "-1"}, key="k").status == 400
    assert api.post("/v1/products", b"{", key="k").status == 400
    assert api.post("/v1/products", b"x", key="k", content_type="text/plain").status == 415
    answer = api.post("/v1/products", LAMP, key="k")
    assert (answer.status, "Idempotent-Replayed" in answer.headers) == (201, False)


def test_a_500_is_not_kept_and_leaves_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("contexts.catalog.http.presenters.product", lambda row: 1 / 0)
        assert api.post("/v1/products", LAMP, key="k").status == 500
    assert (Product.objects.count(), Idempotency.objects.count()) == (0, 0)
    assert api.post("/v1/products", LAMP, key="k").status == 201


def test_header_and_body_must_agree(api: Api) -> None:
    differ = api.post("/v1/inventory/reserve", RESERVE | {"idempotency_key": "a"}, key="b")
    assert (differ.status, differ.code) == (400, "validation_error")
    assert api.post("/v1/inventory/reserve", RESERVE | {"idempotency_key": "a"}, key="a").status == 404


def test_a_key_in_the_body_is_the_key_in_the_header(api: Api) -> None:
    body = {"order_id": "A", "amount": 5}
    first = api.post("/v1/payments", body | {"idempotency_key": "k"})
    again = api.post("/v1/payments", body, key="k")
    assert (first.status, again.data) == (200, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("bad", ["", "k" * 256, "a\tb", "a\x7fb"])
def test_a_bad_key_is_a_400(api: Api, bad: str) -> None:
    answer = api.post("/v1/products", LAMP, key=bad)
    assert (answer.status, answer.code) == (400, "validation_error")
    answer = api.post("/v1/inventory/reserve", RESERVE | {"idempotency_key": bad})
    assert (answer.status, set(answer.details)) == (400, {"idempotency_key"})
    assert Product.objects.count() == 0


def test_a_bad_header_is_named(api: Api) -> None:
    answer = api.post("/v1/products", LAMP, key="k" * 256)
    assert set(answer.details) == {"Idempotency-Key"}


@pytest.mark.parametrize("good", ["k", "k" * 255, "a b", "~!@#:/?"])
def test_a_printable_key_is_a_key(api: Api, good: str) -> None:
    assert [api.post("/v1/products", LAMP, key=good).status for _ in range(2)] == [201, 201]


def test_keys_that_differ_in_case_are_two_keys(api: Api) -> None:
    assert api.post("/v1/products", LAMP, key="k").status == 201
    assert api.post("/v1/products", LAMP | {"sku": "B"}, key="K").status == 201


def test_a_running_request_is_a_409_with_retry_after(api: Api) -> None:
    api.post("/v1/products", LAMP, key="k")
    Idempotency.objects.update(status=None, answer="")
    answer = api.post("/v1/products", LAMP, key="k")
    assert (answer.status, answer.code) == (409, "idempotency_in_progress")
    assert int(answer.headers["Retry-After"]) >= 1
    again = api.post("/v1/products", LAMP, key="k")
    assert "Idempotent-Replayed" not in again.headers, "it is not an answer to keep"


def test_a_claimed_key_is_taken() -> None:
    with unit_of_work("catalog"):
        idempotency.claim("catalog", key(), resource="r")
    record = idempotency.find("catalog", key())
    assert record is not None
    assert (record.resource, idempotency.answer_of(record)) == ("r", None)
    with pytest.raises(IdempotencyInProgress), unit_of_work("catalog"):
        idempotency.claim("catalog", key())
    with pytest.raises(IdempotencyKeyReused):
        idempotency.find("catalog", key(fingerprint="other"))


def test_a_claim_goes_with_its_transaction() -> None:
    with pytest.raises(ZeroDivisionError), unit_of_work("catalog"):
        idempotency.claim("catalog", key())
        _ = 1 / 0
    assert idempotency.find("catalog", key()) is None


def test_a_refusal_never_overwrites_an_answer() -> None:
    idempotency.claim("catalog", key())
    idempotency.finish("catalog", key(), finished())
    idempotency.keep("catalog", key(), idempotency.Answer(status=409, body={}))
    found = idempotency.find("catalog", key())
    assert found is not None
    assert idempotency.answer_of(found) == finished()


def test_old_answers_are_pruned_after_their_time() -> None:
    for name in ("old", "new"):
        idempotency.keep("catalog", key(name), finished())
    Idempotency.objects.filter(key="old").update(created_at=utcnow() - timedelta(hours=49))
    Idempotency.objects.filter(key="new").update(created_at=utcnow() - timedelta(hours=47))
    assert idempotency.prune("catalog", keep_for=timedelta(hours=48)) == 1
    assert list(Idempotency.objects.values_list("key", flat=True)) == ["new"]
