"""Lists, search and categories."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from contexts.catalog import services


def make(sku: str, **fields: Any) -> int:
    fields = {"name": sku, "price": 1, **fields}
    row = services.create_product(actor="test", sku=sku, **fields | {"price": Decimal(fields["price"])})
    return int(row["id"])


def skus(answer: Any) -> list[str]:
    return [product["sku"] for product in answer.data]


def find(api: Any, **parameters: Any) -> list[str]:
    return skus(api.get(f"/v1/products/search?{urlencode(parameters)}"))


def follow(api: Any, url: str | None) -> Any:
    assert url is not None
    parts = urlsplit(url)
    return api.get(f"{parts.path}?{parts.query}")


class TestPaging:
    def test_newest_first_with_links_both_ways(self, api: Any) -> None:
        for number in range(5):
            make(f"P{number}")
        first = api.get("/v1/products?limit=2")
        second = follow(api, first.json["meta"]["next"])
        third = follow(api, second.json["meta"]["next"])
        assert [skus(first), skus(second), skus(third)] == [["P4", "P3"], ["P2", "P1"], ["P0"]]
        assert (first.json["meta"]["limit"], first.json["meta"]["previous"]) == (2, None)
        assert third.json["meta"]["next"] is None
        assert skus(follow(api, second.json["meta"]["previous"])) == ["P4", "P3"]

    @pytest.mark.parametrize("query", ["/v1/products?limit=2", "/v1/products/search?q=p&limit=2"])
    def test_pages_stay_stable_while_products_are_added(self, api: Any, query: str) -> None:
        for number in range(4):
            make(f"P{number}")
        first = api.get(query)
        make("P9")
        second = follow(api, first.json["meta"]["next"])
        assert [skus(first), skus(second)] == [["P3", "P2"], ["P1", "P0"]]

    def test_ordering(self, api: Any) -> None:
        for sku, name, price in (("B", "beta", 2), ("A", "Alpha", 3), ("C", "Gamma", 1)):
            make(sku, name=name, price=price, description="A thing.")
        orders = {
            "name": "ABC",
            "-name": "CBA",
            "price": "CBA",
            "-price": "ABC",
            "created_at": "BAC",
            "-created_at": "CAB",
        }
        for ordering, expected in orders.items():
            for path in ("/v1/products?", "/v1/products/search?q=thing&"):
                assert "".join(skus(api.get(f"{path}ordering={ordering}"))) == expected, (ordering, path)

    def test_equal_values_are_neither_skipped_nor_repeated(self, api: Any) -> None:
        for number in range(7):
            make(f"P{number}", price=number % 2)
        for ordering in ("price", "-price"):
            answer = api.get(f"/v1/products?limit=2&ordering={ordering}")
            seen = skus(answer)
            while answer.json["meta"]["next"]:
                answer = follow(api, answer.json["meta"]["next"])
                seen += skus(answer)
            assert sorted(seen) == [f"P{number}" for number in range(7)]

    def test_prices_order_across_currencies(self, api: Any) -> None:
        make("KWD", price=2, currency="KWD")
        make("JPY", price=3, currency="JPY")
        make("USD", price=1, currency="USD")
        assert skus(api.get("/v1/products?ordering=price")) == ["USD", "KWD", "JPY"]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("limit=-1", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("cursor=zzz", "cursor"),
            ("cursor=" + "z" * 2000, "cursor"),
            ("ordering=sku", "ordering"),
            ("ordering=--price", "ordering"),
            ("ordering=price_minor", "ordering"),
            ("is_active=maybe", "is_active"),
            ("category=" + "x" * 256, "category"),
            ("nonsense=1", "nonsense"),
        ],
    )
    def test_bad_parameters_are_named(self, api: Any, query: str, field: str) -> None:
        for path in ("/v1/products", "/v1/products/search"):
            answer = api.get(f"{path}?{query}")
            assert (answer.status, answer.code, list(answer.details)) == (400, "validation_error", [field])

    def test_a_cursor_of_another_list_or_ordering_is_refused(self, api: Any) -> None:
        make("A")
        make("B")
        cursor = urlsplit(api.get("/v1/products?limit=1").json["meta"]["next"]).query
        assert api.get(f"/v1/products?{cursor}").status == 200
        assert api.get(f"/v1/products?{cursor}&ordering=price").status == 400
        assert api.get(f"/v1/products/search?{cursor}").status == 400


class TestFilters:
    def test_category_matches_in_any_case_but_whole(self, api: Any) -> None:
        make("E", category="Electronics")
        make("U", category="Übergröße")
        make("X", category="Electronics and more")
        for path in ("/v1/products", "/v1/products/search"):
            assert skus(api.get(f"{path}?category=ELECTRONICS")) == ["E"]
            assert skus(api.get(f"{path}?category={quote('üBERGRÖSSE')}")) == ["U"]
            assert skus(api.get(f"{path}?category=Electronic")) == []

    def test_is_active(self, api: Any, settings: Any) -> None:
        make("ON")
        services.deactivate_products(product_ids=[make("OFF")], actor="test")
        for path in ("/v1/products", "/v1/products/search"):
            assert skus(api.get(path)) == ["OFF", "ON"]
            assert skus(api.get(f"{path}?is_active=false")) == ["OFF"]
            assert skus(api.get(f"{path}?is_active=true")) == ["ON"]
        settings.ECI_OPEN = False
        for path in ("/v1/products", "/v1/products/search"):
            assert skus(api.get(path)) == ["ON"]
            assert skus(api.get(f"{path}?is_active=false")) == []

    def test_name_is_a_part_in_any_case(self, api: Any) -> None:
        make("A", name="Gaming Laptop")
        make("B", name="ÄPFEL")
        assert find(api, name="LAPT") == ["A"]
        assert find(api, name="äpf") == ["B"]
        assert find(api, name="A\u0308PF") == find(api, q="a\u0308pfel") == ["B"], "decomposed"

    @pytest.mark.parametrize(("text", "found"), [("%", "A"), ("_", "B"), ("\\", "C"), ("50%", "A"), ("a_b", "B")])
    @pytest.mark.parametrize("parameter", ["name", "q"])
    def test_wildcards_are_only_characters(self, api: Any, parameter: str, text: str, found: str) -> None:
        make("A", name="50% off")
        make("B", name="a_b")
        make("C", name="back\\slash")
        make("D", name="acb 500 plain")
        begins_so = ["D"] if (parameter, text) == ("q", "50%") else []
        assert find(api, **{parameter: text}) == [found, *begins_so]

    def test_price_bounds_are_inclusive_and_exact(self, api: Any) -> None:
        make("A", price="0.30")
        make("B", price="10")
        make("C", price="10.01")
        assert find(api, min_price="0.30", max_price="0.3") == ["A"]
        assert find(api, min_price="10", max_price="10.00") == ["B"]

    def test_price_bounds_have_one_currency(self, api: Any, settings: Any) -> None:
        make("JPY", price=20, currency="JPY")
        make("KWD", price="20.005", currency="KWD")
        make("USD", price="19.99")
        assert find(api, min_price="1", max_price="99") == ["USD"], "the shop's"
        assert find(api, min_price="20", currency="JPY") == ["JPY"]
        assert find(api, max_price="20.005", currency="KWD") == ["KWD"]
        assert find(api, currency="KWD") == ["KWD"]
        settings.ECI_CURRENCY = "JPY"
        assert find(api, min_price="1") == ["JPY"]

    @pytest.mark.parametrize(
        "parameters",
        [
            {"min_price": "NaN"},
            {"min_price": "abc"},
            {"min_price": "-1"},
            {"min_price": "1e5"},
            {"min_price": "9" * 13},
            {"min_price": "1.001"},
            {"max_price": "1.5", "currency": "JPY"},
            {"currency": "usd"},
            {"currency": "XXX", "min_price": "1"},
            {"min_price": "1." + "0" * 30 + "1"},
            {"min_price": "10", "max_price": "9.99"},
            {"max_price": "Infinity"},
            {"q": "x" * 201},
            {"q": "a b c d e f g h i j k"},
            {"name": "x" * 501},
        ],
    )
    def test_refuses_bad_bounds_and_long_text(self, api: Any, parameters: dict[str, str]) -> None:
        answer = api.get(f"/v1/products/search?{urlencode(parameters)}")
        assert (answer.status, list(answer.details)) == (400, list(parameters)[:1])

    def test_refuses_nul(self, api: Any) -> None:
        assert api.get("/v1/products/search?q=%00").status == 400

    @pytest.mark.parametrize("parameter", ["q", "name", "category", "skus", "product_ids", "barcode", "min_price"])
    def test_an_empty_parameter_is_not_a_search_for_all(self, api: Any, parameter: str) -> None:
        answer = api.get(f"/v1/products/search?{parameter}=")
        assert (answer.status, list(answer.details)) == (400, [parameter])


class TestFullText:
    def test_all_words_must_match_anywhere(self, api: Any) -> None:
        make("M-1", name="Wireless Mouse", description="With a USB receiver.")
        make("M-2", name="Wired Mouse", description="Plain.")
        assert find(api, q="mouse wireless") == ["M-1"]
        assert find(api, q="RECEIVER mouse") == ["M-1"]
        assert find(api, q="mouse unknown") == []

    def test_the_sku_ranks_first_then_the_name_then_the_description(self, api: Any) -> None:
        make("PHONE", name="Z")
        make("PHONE-2", name="Z")
        make("N", name="Smart phone")
        make("P", name="Headphones")
        make("D", name="Z", description="For your phone.")
        make("NONE", name="Z")
        assert find(api, q="phone") == ["PHONE", "PHONE-2", "N", "P", "D"]

    def test_pages_follow_the_rank(self, api: Any) -> None:
        make("D1", description="lamp")
        make("N1", name="Lamp")
        make("LAMP")
        make("D2", description="lamp")
        answer = api.get("/v1/products/search?q=lamp&limit=1")
        seen = skus(answer)
        while answer.json["meta"]["next"]:
            answer = follow(api, answer.json["meta"]["next"])
            seen += skus(answer)
        assert seen == ["LAMP", "N1", "D2", "D1"]

    def test_filters_go_with_it(self, api: Any) -> None:
        make("A", name="Lamp", category="Home", price=5)
        make("B", name="Lamp", category="Garden", price=5)
        assert find(api, q="lamp", category="garden", min_price=5, max_price=5) == ["B"]

    def test_a_changed_product_is_found_by_its_new_words_only(self, api: Any) -> None:
        product_id = make("A", name="Lamp", category="Home")
        api.patch(f"/v1/products/{product_id}", {"name": "Chair", "category": "Garden", "price": 7})
        assert find(api, q="lamp") == []
        assert find(api, q="chair", name="chair", category="garden", min_price=7) == ["A"]


class TestCategories:
    def test_counts_products_whatever_the_case(self, api: Any) -> None:
        make("A", category="Home")
        make("B", category="HOME")
        make("C", category="Garden")
        make("D")
        assert api.get("/v1/categories").data == [
            {"category": "Garden", "product_count": 1},
            {"category": "HOME", "product_count": 2},
        ]

    def test_the_public_counts_active_products_only(self, api: Any, settings: Any) -> None:
        make("A", category="Home")
        services.deactivate_products(product_ids=[make("B", category="Home"), make("C", category="Gone")], actor="test")
        assert len(api.get("/v1/categories").data) == 2
        settings.ECI_OPEN = False
        assert api.get("/v1/categories").data == [{"category": "Home", "product_count": 1}]

    def test_pages(self, api: Any) -> None:
        for name in ("a", "b", "c"):
            make(name, category=name)
        first = api.get("/v1/categories?limit=2")
        second = follow(api, first.json["meta"]["next"])
        assert [[row["category"] for row in answer.data] for answer in (first, second)] == [["a", "b"], ["c"]]
        assert api.get("/v1/categories?ordering=name").status == 400


class TestMany:
    def test_several_are_asked_for_by_sku_or_id(self, api: Any) -> None:
        ids = [make(sku) for sku in ("A", "B", "C,D")]
        assert skus(api.get(f"/v1/products?skus=A,{quote(chr(34) + 'C,D' + chr(34))},NONE")) == ["C,D", "A"]
        assert skus(api.get(f"/v1/products?product_ids={ids[0]},{ids[1]},999")) == ["B", "A"]
        assert skus(api.get(f"/v1/products?skus=A,B&product_ids={ids[1]}")) == ["B"]
        assert skus(api.get("/v1/products/search?q=a&skus=A,B")) == ["A"]

    @pytest.mark.parametrize(
        "query",
        ["product_ids=x", "product_ids=1,", "skus=,", "skus=a%0Ab", "skus=a%0Db", "skus=" + ",".join(["A"] * 201)],
    )
    def test_bad_lists_are_named(self, api: Any, query: str) -> None:
        answer = api.get(f"/v1/products?{query}")
        assert (answer.status, list(answer.details)) == (400, [query.partition("=")[0]])
