"""Barcodes and metadata: what other systems know a product by."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from contexts.catalog.models import Product, Trail
from tests.support.pages import Browser, form_in

EAN = "4006381333931"


def shown(browser: Browser, path: str) -> dict[str, Any]:
    """What the product's form would send untouched."""
    return form_in(browser.get(path).content.decode(), having="barcode").fields


def make(api: Any, sku: str, **more: Any) -> Any:
    return api.post("/v1/products", {"sku": sku, "name": sku, "price": 1} | more)


class TestBarcodes:
    def test_a_product_is_found_by_it(self, api: Any) -> None:
        assert make(api, "A", barcode=f" {EAN} ").data["barcode"] == EAN
        assert make(api, "B").data["barcode"] is None
        assert make(api, "C", barcode=None).data["barcode"] is None
        for path in ("/v1/products", "/v1/products/search"):
            assert [row["sku"] for row in api.get(f"{path}?barcode={EAN}").data] == ["A"]
        assert [row["sku"] for row in api.get(f"/v1/products/search?q={EAN}").data] == ["A"]

    @pytest.mark.parametrize(
        "wrong", ["1234567", "1" * 15, "4006381-33393", "１２３４５６７８", 40063813, True, "", {}]
    )
    def test_anything_else_is_refused(self, api: Any, wrong: Any) -> None:
        answer = make(api, "A", barcode=wrong)
        assert (answer.status, list(answer.details)) == (400, ["barcode"])
        assert api.get("/v1/products?barcode=123").status == 400

    def test_a_second_product_with_it_is_a_conflict_of_its_own(self, api: Any) -> None:
        make(api, "A", barcode=EAN)
        other = make(api, "B").data["product_id"]
        for answer in (make(api, "C", barcode=EAN), api.patch(f"/v1/products/{other}", {"barcode": EAN})):
            assert (answer.status, answer.code, answer.details) == (409, "duplicate_barcode", {"barcode": EAN})
        assert make(api, "A").code == "duplicate_sku"

    def test_null_takes_it_away_and_another_may_have_it(self, api: Any) -> None:
        product_id = make(api, "A", barcode=EAN).data["product_id"]
        assert api.patch(f"/v1/products/{product_id}", {"name": "Still"}).data["barcode"] == EAN
        gone = api.patch(f"/v1/products/{product_id}", {"barcode": None})
        assert (gone.data["barcode"], gone.headers["ETag"]) == (None, '"3"')
        assert make(api, "B", barcode=EAN).status == 201


class TestMetadata:
    def test_patch_merges_and_put_replaces(self, api: Any) -> None:
        path = f"/v1/products/{make(api, 'A', metadata={'erp': '7', 'old': 'x'}).data['product_id']}"
        merged = api.patch(path, {"metadata": {"old": None, "amazon": "B0"}})
        assert (merged.data["metadata"], merged.headers["ETag"]) == ({"amazon": "B0", "erp": "7"}, '"2"')
        assert api.patch(path, {"metadata": {"erp": "7"}}).headers["ETag"] == '"2"', "no change"
        whole = {"sku": "A", "name": "A", "price": 1}
        assert api.put(path, whole).data["metadata"] == {"amazon": "B0", "erp": "7"}, "left out"
        assert api.put(path, whole | {"metadata": {"erp": "8"}}).data["metadata"] == {"erp": "8"}

    def test_too_much_changes_nothing(self, api: Any) -> None:
        path = f"/v1/products/{make(api, 'A', metadata={str(n): 'x' for n in range(50)}).data['product_id']}"
        answer = api.patch(path, {"metadata": {"new": "x"}, "name": "B"})
        assert (answer.status, list(answer.details)) == (400, ["metadata"])
        assert api.get(path).data["name"] == "A"


class TestStaffPages:
    @pytest.fixture
    def browser(self) -> Browser:
        browser = Browser()
        browser.force_login(get_user_model().objects.create_superuser("ann", "ann@example.com", "secret-123"))
        return browser

    def test_a_product_is_given_and_loses_both(self, api: Any, browser: Browser) -> None:
        product_id = make(api, "A", metadata={"erp": "7"}).data["product_id"]
        path = f"/admin/catalog/product/{product_id}/change/"
        page = shown(browser, path)
        assert json.loads(page["metadata"]) == {"erp": "7"}
        assert browser.post(path, page | {"barcode": EAN, "metadata": '{"ebay": "9"}'}).status_code == 302
        row = Product.objects.get()
        assert (row.barcode, row.metadata) == (EAN, {"ebay": "9"})
        assert set(Trail.objects.latest("pk").after) == {"barcode", "metadata"}
        page = shown(browser, path)
        assert browser.post(path, page | {"barcode": "", "metadata": ""}).status_code == 302
        row.refresh_from_db()
        assert (row.barcode, row.metadata) == (None, None)

    @pytest.mark.parametrize("wrong", [{"barcode": "12"}, {"metadata": "[1]"}, {"metadata": '{"a": 1}'}])
    def test_mistakes_are_told(self, api: Any, browser: Browser, wrong: dict[str, str]) -> None:
        path = f"/admin/catalog/product/{make(api, 'A').data['product_id']}/change/"
        answer = browser.post(path, shown(browser, path) | wrong)
        assert answer.status_code == 200
        assert set(answer.context["adminform"].form.errors) == set(wrong)

    def test_a_barcode_finds_its_product(self, api: Any, browser: Browser) -> None:
        make(api, "A", barcode=EAN)
        make(api, "B")
        assert browser.get(f"/admin/catalog/product/?q={EAN}").context["cl"].result_count == 1
