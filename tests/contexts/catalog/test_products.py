"""Products over the API: what is kept, what is rejected, and the history of prices."""

from __future__ import annotations

from typing import Any

import pytest

from contexts.catalog.models import PriceChange, Product

LAPTOP = {"sku": "LAP-1", "name": "Laptop 15", "price": 1299.99, "category": "Electronics", "description": "Fast."}
UNKNOWN = 999_999


@pytest.fixture
def laptop(api: Any) -> dict[str, Any]:
    answer = api.post("/v1/products", LAPTOP)
    assert answer.status == 201, answer.json
    return answer.data


def prices(product_id: int) -> list[tuple[int | None, str, int, str, str]]:
    fields = ("old_price_minor", "old_currency", "price_minor", "currency", "actor")
    return list(PriceChange.objects.filter(product_id=product_id).order_by("pk").values_list(*fields))


class TestCreating:
    def test_answers_the_whole_product(self, laptop: dict[str, Any]) -> None:
        assert laptop.pop("created_at") == laptop.pop("updated_at")
        assert laptop.pop("product_id") > 0
        assert laptop == {
            "sku": "LAP-1",
            "name": "Laptop 15",
            "description": "Fast.",
            "category": "Electronics",
            "barcode": None,
            "metadata": {},
            "price": "1299.99",
            "lowest_price_30_days": "1299.99",
            "currency": "USD",
            "is_active": True,
        }

    def test_needs_only_sku_name_and_price(self, api: Any) -> None:
        data = api.post("/v1/products", {"sku": "A", "name": "B", "price": "0"}).data
        assert (data["price"], data["category"], data["description"], data["is_active"]) == ("0.00", "", "", True)

    def test_the_same_sku_again_is_a_conflict_but_another_case_is_another_sku(
        self, api: Any, laptop: dict[str, Any]
    ) -> None:
        again = api.post("/v1/products", LAPTOP | {"name": "Other"})
        assert (again.status, again.code, again.details) == (409, "duplicate_sku", {"sku": "LAP-1"})
        assert api.post("/v1/products", LAPTOP | {"sku": "lap-1"}).status == 201

    @pytest.mark.parametrize(
        ("currency", "price", "answered"),
        [
            ("JPY", 500, "500"),
            ("KWD", "1.234", "1.234"),
            ("USD", "9999999999.99", "9999999999.99"),
            ("EUR", 5.5, "5.50"),
        ],
    )
    def test_prices_have_their_currencys_places(self, api: Any, currency: str, price: Any, answered: str) -> None:
        data = api.post("/v1/products", LAPTOP | {"currency": currency, "price": price}).data
        assert (data["price"], data["currency"]) == (answered, currency)

    @pytest.mark.parametrize(
        "price",
        [-1, "-0.01", "1.999", 0.001, "NaN", "Infinity", "abc", "", " ", None, True, [], {}, "1e3", 10**12]
        + [10**400, "9" * 5000, "10000000000.00", 1e300],
    )
    def test_refuses_bad_prices(self, api: Any, price: Any) -> None:
        answer = api.post("/v1/products", LAPTOP | {"price": price})
        assert (answer.status, answer.code, list(answer.details)) == (400, "validation_error", ["price"])
        assert not Product.objects.exists()

    @pytest.mark.parametrize("body", [b'{"sku": "A", "name": "B", "price": NaN}', b"[]", b"{", b'"x"', b"\xff"])
    def test_refuses_what_is_not_a_json_object(self, api: Any, body: bytes) -> None:
        answer = api.post("/v1/products", body)
        assert (answer.status, answer.code) == (400, "validation_error")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("sku", ""),
            ("sku", "   "),
            ("sku", "x" * 65),
            ("sku", "a\tb"),
            ("sku", "a\nb"),
            ("sku", 5),
            ("sku", None),
            ("name", ""),
            ("name", "  "),
            ("name", "x" * 501),
            ("name", 5),
            ("category", "x" * 256),
            ("category", None),
            ("category", 1.5),
            ("description", "x" * 50_001),
            ("currency", "usd"),
            ("currency", "XXX"),
            ("currency", 7),
            ("is_active", "true"),
            ("is_active", 1),
        ],
    )
    def test_refuses_bad_fields_by_name(self, api: Any, field: str, value: Any) -> None:
        answer = api.post("/v1/products", LAPTOP | {field: value})
        assert (answer.status, list(answer.details)) == (400, [field])

    @pytest.mark.parametrize("field", ["sku", "name", "category", "description"])
    def test_refuses_nul_and_half_surrogates(self, api: Any, field: str) -> None:
        assert api.post("/v1/products", LAPTOP | {field: "a\x00b"}).status == 400
        assert api.post("/v1/products", LAPTOP | {field: "a\ud800b"}).status == 400

    @pytest.mark.parametrize("field", ["sku", "name", "price"])
    def test_names_a_missing_field(self, api: Any, field: str) -> None:
        body = {name: value for name, value in LAPTOP.items() if name != field}
        assert list(api.post("/v1/products", body).details) == [field]

    def test_the_longest_text_that_folding_makes_longer_still_fits(self, api: Any) -> None:
        body = LAPTOP | {"name": "\ufb03" * 500, "category": "\ufb03" * 255}
        assert api.post("/v1/products", body).status == 201
        Product.objects.get().full_clean()

    def test_other_media_types_are_not_read(self, api: Any) -> None:
        assert api.post("/v1/products", b"sku=A", content_type="application/x-www-form-urlencoded").status == 415


class TestIdempotency:
    def test_the_same_request_gets_the_first_answer_again(self, api: Any) -> None:
        first = api.post("/v1/products", LAPTOP | {"price": 1.5}, key="k")
        again = api.post("/v1/products", LAPTOP | {"price": "1.50"}, key="k")
        assert (first.status, again.status, again.data) == (201, 201, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first.headers
        assert (Product.objects.count(), PriceChange.objects.count()) == (1, 1)

    def test_another_request_with_the_key_is_refused(self, api: Any) -> None:
        api.post("/v1/products", LAPTOP, key="k")
        other = api.post("/v1/products", LAPTOP | {"sku": "B"}, key="k")
        assert (other.status, other.code) == (422, "idempotency_key_reused")

    def test_a_conflict_is_remembered_and_a_bad_request_is_not(self, api: Any, laptop: dict[str, Any]) -> None:
        assert api.post("/v1/products", LAPTOP, key="taken").status == 409
        api.patch(f"/v1/products/{laptop['product_id']}", {"sku": "MOVED"})
        again = api.post("/v1/products", LAPTOP, key="taken")
        assert (again.status, again.headers["Idempotent-Replayed"]) == (409, "true")
        assert api.post("/v1/products", LAPTOP | {"price": "x"}, key="bad").status == 400
        assert api.post("/v1/products", LAPTOP, key="bad").status == 201


class TestReading:
    def test_by_id_and_by_sku(self, api: Any, laptop: dict[str, Any]) -> None:
        assert api.get(f"/v1/products/{laptop['product_id']}").data == laptop
        assert api.get("/v1/products/sku/LAP-1").data == laptop
        assert api.get("/api/v1/catalog/v1/products/sku/LAP-1").data == laptop

    def test_a_sku_may_hold_slashes_and_spaces(self, api: Any) -> None:
        for sku in ("A/B C", "a//b/", "50%", "../x", "ü?#"):
            api.post("/v1/products", LAPTOP | {"sku": sku})
        assert api.get("/v1/products/sku/A/B%20C").data["sku"] == "A/B C"
        assert api.get("/v1/products/sku/a//b/").data["sku"] == "a//b/"
        assert api.get("/v1/products/sku/50%25").data["sku"] == "50%"
        assert api.get("/v1/products/sku/%C3%BC%3F%23").data["sku"] == "ü?#"

    @pytest.mark.parametrize(
        "path", [f"{UNKNOWN}", "0", "abc", "-1", "1.5", "9" * 30, "sku/nope", "sku/lap-1", "sku/" + "x" * 65, "sku/%00"]
    )
    def test_what_is_unknown_is_a_404(self, api: Any, laptop: dict[str, Any], path: str) -> None:
        answer = api.get(f"/v1/products/{path}")
        assert (answer.status, answer.code) == (404, "not_found")

    def test_an_unknown_id_is_named(self, api: Any) -> None:
        answer = api.get(f"/v1/products/{UNKNOWN}")
        assert answer.details == {"product_id": UNKNOWN}
        assert str(UNKNOWN) in answer.error

    @pytest.mark.parametrize("form", ["{}", '"other", {}', "*"])
    def test_an_unchanged_product_is_not_sent_again(self, api: Any, laptop: dict[str, Any], form: str) -> None:
        for path in (f"/v1/products/{laptop['product_id']}", "/v1/products/sku/LAP-1"):
            tag = api.get(path).headers["ETag"]
            same = api.get(path, **{"If-None-Match": form.format(tag)})
            assert (same.status, same.json, same.headers["ETag"]) == (304, None, tag)

    def test_a_changed_product_has_another_tag(self, api: Any, laptop: dict[str, Any]) -> None:
        path = f"/v1/products/{laptop['product_id']}"
        tag = api.get(path).headers["ETag"]
        api.patch(path, {"name": "New"})
        changed = api.get(path, **{"If-None-Match": tag})
        assert (changed.status, changed.data["name"]) == (200, "New")
        assert changed.headers["ETag"] != tag


class TestChanging:
    def test_patch_changes_only_what_it_names(self, api: Any, laptop: dict[str, Any]) -> None:
        data = api.patch(f"/v1/products/{laptop['product_id']}", {"name": "Laptop 16", "category": ""}).data
        assert data["updated_at"] >= laptop["updated_at"]
        assert data == laptop | {"name": "Laptop 16", "category": "", "updated_at": data["updated_at"]}
        assert api.get(f"/v1/products/{laptop['product_id']}").data == data

    def test_a_change_that_changes_nothing_leaves_no_trace(self, api: Any, laptop: dict[str, Any]) -> None:
        for body in ({}, LAPTOP, {"price": "1299.990"}):
            assert api.patch(f"/v1/products/{laptop['product_id']}", body).data == laptop
        assert len(prices(laptop["product_id"])) == 1

    @pytest.mark.parametrize("missing", ["sku", "name", "price"])
    def test_put_needs_sku_name_and_price(self, api: Any, laptop: dict[str, Any], missing: str) -> None:
        body = {name: value for name, value in LAPTOP.items() if name != missing}
        answer = api.put(f"/v1/products/{laptop['product_id']}", body)
        assert (answer.status, list(answer.details)) == (400, [missing])

    def test_put_keeps_what_it_leaves_out(self, api: Any, laptop: dict[str, Any]) -> None:
        data = api.put(f"/v1/products/{laptop['product_id']}", {"sku": "NEW", "name": "New", "price": 5}).data
        assert (data["sku"], data["name"], data["price"], data["category"]) == ("NEW", "New", "5.00", "Electronics")

    def test_put_keeps_the_currency_and_its_places(self, api: Any, laptop: dict[str, Any]) -> None:
        path, body = f"/v1/products/{laptop['product_id']}", {"sku": "NEW", "name": "New"}
        api.patch(path, {"currency": "JPY", "price": 1300})
        refused = api.put(path, body | {"price": "19.99"})
        assert (refused.status, list(refused.details)) == (400, ["price"])
        assert "An amount in JPY has at most 0 decimal places" in refused.error
        assert api.get(path).data["price"] == "1300"
        assert api.put(path, body | {"price": "1999"}).data["currency"] == "JPY"

    def test_a_taken_sku_is_a_conflict_and_changes_nothing(self, api: Any, laptop: dict[str, Any]) -> None:
        api.post("/v1/products", LAPTOP | {"sku": "OTHER"})
        answer = api.patch(f"/v1/products/{laptop['product_id']}", {"sku": "OTHER", "price": 1})
        assert (answer.status, answer.code) == (409, "duplicate_sku")
        assert api.get(f"/v1/products/{laptop['product_id']}").data == laptop
        assert len(prices(laptop["product_id"])) == 1

    @pytest.mark.parametrize("body", [{"price": -1}, {"price": "1.999"}, {"price": None}, {"price": "NaN"}])
    def test_refuses_bad_prices(self, api: Any, laptop: dict[str, Any], body: dict[str, Any]) -> None:
        answer = api.patch(f"/v1/products/{laptop['product_id']}", body)
        assert (answer.status, answer.code, list(answer.details)) == (400, "validation_error", ["price"])

    def test_a_new_currency_comes_with_its_own_price(self, api: Any, laptop: dict[str, Any]) -> None:
        path = f"/v1/products/{laptop['product_id']}"
        for body in ({"currency": "JPY"}, {"currency": "EUR"}, {"currency": "EUR", "price": None}):
            refused = api.patch(path, body)
            assert (refused.status, list(refused.details)) == (400, ["price"]), body
        assert api.get(path).data == laptop
        assert api.patch(path, {"currency": "USD"}).data == laptop, "it has this one"
        data = api.patch(path, {"currency": "JPY", "price": 1300}).data
        assert (data["price"], data["currency"]) == ("1300", "JPY")
        assert api.patch(path, {"currency": "KWD", "price": "1300"}).data["price"] == "1300.000"

    def test_every_price_is_kept_with_its_actor(self, api: Any, laptop: dict[str, Any]) -> None:
        path = f"/v1/products/{laptop['product_id']}"
        api.patch(path, {"price": "999.99"})
        api.put(path, LAPTOP | {"price": 10})
        api.patch(path, {"currency": "JPY", "price": 10})
        assert prices(laptop["product_id"]) == [
            (None, "", 129999, "USD", "open"),
            (129999, "USD", 99999, "USD", "open"),
            (99999, "USD", 1000, "USD", "open"),
            (1000, "USD", 10, "JPY", "open"),
        ]

    def test_delete_takes_it_off_sale_and_keeps_it(self, api: Any, laptop: dict[str, Any]) -> None:
        path = f"/v1/products/{laptop['product_id']}"
        first = api.delete(path)
        off_since = api.get(path).data["updated_at"]
        second = api.delete(path)
        assert [(answer.status, answer.json) for answer in (first, second)] == [(204, None), (204, None)]
        assert api.get(path).data == laptop | {"is_active": False, "updated_at": off_since}
        assert api.get("/v1/products/sku/LAP-1").status == 200
        assert api.patch(path, {"is_active": True}).data["is_active"] is True

    def test_what_is_unknown_cannot_be_changed(self, api: Any) -> None:
        path = f"/v1/products/{UNKNOWN}"
        assert [api.patch(path, {}).status, api.put(path, LAPTOP).status, api.delete(path).status] == [404] * 3

    def test_other_methods_are_405(self, api: Any, laptop: dict[str, Any]) -> None:
        assert api.post(f"/v1/products/{laptop['product_id']}", {}).status == 405


class TestWhoMay:
    def test_without_open_mode_everybody_reads_and_nobody_writes(
        self, api: Any, laptop: dict[str, Any], settings: Any
    ) -> None:
        settings.ECI_OPEN = False
        path = f"/v1/products/{laptop['product_id']}"
        for read in (path, "/v1/products", "/v1/products/sku/LAP-1", "/v1/products/search?q=a", "/v1/categories"):
            assert api.get(read).status == 200, read
        writes = [api.post("/v1/products", LAPTOP), api.put(path, LAPTOP), api.patch(path, {}), api.delete(path)]
        assert {answer.status for answer in writes} <= {401, 403}
        assert Product.objects.get().is_active
