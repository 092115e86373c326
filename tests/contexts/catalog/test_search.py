"""Search finds what the rules say, on every engine: a plain loop over all products says it too, and both must agree."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.apps import apps
from django.db import connections
from django.db.models import QuerySet

from contexts.catalog import domain, search, search_indexes, search_postgresql, selectors, services, words
from contexts.catalog.models import Product, Word
from contexts.catalog.words import Rank
from eci.paging import Paging
from tests.support.world import ON_SERVERS

NOUNS = (
    "lamp",
    "Lampe",
    "phone",
    "headphones",
    "Galaxy",
    "mouse",
    "house",
    "Größe",
    "Ångström",
    "手机壳",
    "手机",
    "чайник",
    "iPhone15x",
    "Kopfhörer手机壳",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",  # longer than a word is kept
)
KINDS = ("red", "réd", "wireless", "mini", "s24", "ultra", "USB-C", "50%", "ﬁne")
CATEGORIES = ("Home", "Electronics", "Phone cases", "手机", "")
QUERIES = (
    *(
        "phone",
        "PHONE",
        "pho",
        "red phone",
        "phone red",
        "galaxi",
        "galxy",
        "mose",
        "hous",
        "wireles",
        "grosse",
        "größe",
    ),
    *(
        "angstrom",
        "手机",
        "机壳",
        "手",
        "ча",
        "чайнык",
        "s24",
        "s2",
        "usb c",
        "usbc",
        "usb-c lam",
        "50%",
        "%",
        "home",
        "hom lamp",
    ),
    *("P-7", "p7", "P", "eadpho", "adphones ire", "nothing", "lamp nothing", "lamqe", "4006381000073", "fine", "___"),
    *("hone15", "one15x", "hone", "opfhor", "hauptbe", "gesellschaft", "eadpho ired", "horer手机", "sb-c", "ampe red"),
)


def catalog(count: int) -> None:
    """Products as the services would store them, at once."""
    chance = random.Random(7)  # noqa: S311
    rows = []
    for number in range(count):
        row = Product(
            sku=f"P-{number}",
            name=" ".join(chance.sample(KINDS, chance.randint(0, 2)) + [chance.choice(NOUNS)]),
            category=chance.choice(CATEGORIES),
            description=" ".join(chance.sample((*NOUNS, *KINDS), chance.randint(0, 3))),
            price_minor=(price := chance.randint(1, 20_000)),
            currency="USD",
            price_thousandths=price * 10,
            barcode=f"4006381{number:06}" if number % 3 == 0 else None,
        )
        row.name_key, row.category_key = domain.name_key(row.name), domain.category_key(row.category)
        row.plain_name, row.terms = words.plain(row.name), _terms(row)
        rows.append(row)
    Product.objects.bulk_create(rows, batch_size=500)
    search.learn({word for row in rows for word in words.vocabulary(name=row.name, category=row.category)})


class Oracle:
    """The rules, applied to each product in turn."""

    def __init__(self) -> None:
        self.rows = list(Product.objects.order_by("-pk"))
        self.terms = {row.pk: set(_terms(row).split()) for row in self.rows}
        self.names = {row.pk: row.plain_name for row in self.rows}
        vocabulary = {word for row in self.rows for word in words.vocabulary(name=row.name, category=row.category)}
        self.words = set(filter(words.may_be_mistaken, vocabulary))

    def places(self, query: str) -> list[tuple[int, int]]:
        ranked = [(rank, row.pk) for row in self.rows if (rank := self._rank(row, query))]
        if not ranked:
            meant = {
                word: [other for other in self.words if words.one_mistake(word, other)]
                for word in words.mistaken(query)
            }
            match = words.corrected(query, meant)
            if any(meant.values()):
                ranked = [(Rank.MISTAKE, row.pk) for row in self.rows if self._has(row, match)]
        return [(int(rank), pk) for rank, pk in sorted(ranked, reverse=True)]

    def _rank(self, row: Product, query: str) -> Rank | None:
        asked = words.matches(query)
        fitting = [rank for rank, match in asked.items() if self._has(row, match)]
        parts = words.parts(query) if asked else words.plain(query).split()
        if parts and all(part in self.names[row.pk] for part in parts):
            fitting.append(Rank.PART)
        return max(fitting, default=None)

    def _has(self, row: Product, match: words.Match) -> bool:
        return all(
            any(
                any(kept.startswith(term.text) for kept in self.terms[row.pk])
                if term.begins
                else term.text in self.terms[row.pk]
                for term in terms
            )
            for terms in match
        )


def _terms(row: Product) -> str:
    return words.terms(
        sku=row.sku, barcode=row.barcode or "", name=row.name, category=row.category, description=row.description
    )


def found(query: str, paging: Paging, within: QuerySet[Product] | None = None) -> list[tuple[int, int]]:
    products = Product.objects.all() if within is None else within
    return search.page(found=products, query=query, paging=paging)


def pages(query: str, limit: int, *, back: bool = False) -> Iterator[tuple[int, int]]:
    """The whole list, page by page, down from the top or up from the bottom."""
    after = (0, 0) if back else None
    while True:
        page = found(query, Paging(limit=limit, order="-rank", after=after, backwards=back))
        yield from page[:limit]
        if len(page) <= limit:
            return
        after = page[limit - 1]


def agree(queries: tuple[str, ...]) -> None:
    oracle = Oracle()
    for query in queries:
        expected = oracle.places(query)
        assert list(pages(query, 7)) == expected, query
        assert found(query, Paging(limit=1000, order="-rank")) == expected, query
        if expected and expected[0][0] != Rank.MISTAKE:
            assert list(pages(query, 7, back=True)) == expected[::-1], query
        ids = {pk for _, pk in expected}
        everything = search.everything(found=Product.objects.all(), query=query)
        assert set(everything.values_list("pk", flat=True)) == ids, query
        assert {pk for (pk,) in search.some(found=Product.objects.all(), query=query, columns=["id"])} == ids, query
        cheapest = Paging(limit=5, order="price_thousandths")
        listed = search.ordered(find=lambda many: Product.objects.all(), query=query, paging=cheapest)
        prices = sorted((row.price_thousandths, row.pk) for row in oracle.rows if row.pk in ids)
        assert listed == [pk for _, pk in prices[:6]], query


def test_rankings_are_what_the_rules_say() -> None:
    catalog(120)
    agree(QUERIES)


@pytest.mark.skipif(not ON_SERVERS, reason="SQLite has one way")
@pytest.mark.parametrize(
    ("far", "few", "sifted", "chances"),
    [(60, 5, 0, 0), (0, 60, 0, 0), (0, 5, 0, 0), (10, 5, 0, 0), (60, 5, 10**9, 3), (60, 5, 10**9, 0.5)],
)
def test_they_are_too_in_a_large_catalog(
    monkeypatch: pytest.MonkeyPatch, far: int, few: int, sifted: int, chances: float
) -> None:
    """The list is walked to its end, or not at all, or in vain; all that match are sorted, or those of a rank, or the
    nearest of these, among far enough or too few."""
    sample = 20
    sizes = {"SAMPLE": sample, "FAR": far, "FAR_APART": far, "FEW": few}
    for name, size in {**sizes, "SIFTED": sifted, "LISTS": sifted, "CHANCES": chances}.items():
        monkeypatch.setattr(search_postgresql, name, size)
    catalog(60)
    agree(QUERIES)
    within = Product.objects.filter(category_key="home")
    monkeypatch.setattr(search_postgresql, "RARE", sample)
    oracle, paging = Oracle(), Paging(limit=60, order="-rank")
    for query in ("lamp", "red", "eadpho", "hone15", "red lamp", "gesellschaft"):
        expected = [place for place in oracle.places(query) if within.filter(pk=place[1]).exists()]
        assert found(query, paging, within) == expected, query
        assert search.page(found=within, query=query, paging=paging, category="HOME") == expected, query


@pytest.mark.long
def test_rankings_of_10_000_products() -> None:
    catalog(10_000)
    oracle = Oracle()
    for query in QUERIES[::5]:
        assert found(query, Paging(limit=100, order="-rank")) == oracle.places(query)[:101], query


def find(api: Any, **parameters: Any) -> list[str]:
    answer = api.get(f"/v1/products/search?{urlencode(parameters)}")
    return [product["sku"] for product in answer.data]


def make(sku: str, **fields: Any) -> None:
    services.create_product(actor="test", sku=sku, **{"name": sku, "price": Decimal(1), **fields})


class TestOverTheApi:
    def test_a_typing_mistake_is_forgiven_where_nothing_else_is_found(self, api: Any) -> None:
        make("A", name="Galaxy S24")
        make("B", name="Case", description="for galaxy")
        assert find(api, q="galaxi") == find(api, q="glaaxy s24") == ["A"]
        make("C", name="Galaxi")
        assert find(api, q="galaxi") == ["C"]
        assert find(api, q="galaxu lamp") == []

    def test_a_compound_is_found_with_its_sign_and_without(self, api: Any) -> None:
        for sku, name in (("A", "Wi-Fi router"), ("B", "WiFi router"), ("C", "Levi’s don't"), ("D", "3-in-1 AT&T")):
            make(sku, name=name)
        assert find(api, q="wifi") == find(api, q="wi-fi") == find(api, q="Wi-Fi ruoter") == ["B", "A"]
        assert find(api, q="wi fi") == ["A"]
        assert find(api, name="levi's d") == find(api, name="Levi’s") == ["C"]
        assert [find(api, q=query) for query in ("levis", "levi's", "dont", "DON’T")] == [["C"]] * 4
        assert [find(api, q=query) for query in ("3in1", "3-in-1", "att", "at&t")] == [["D"]] * 4

    def test_a_name_is_found_by_any_part_of_it_without_accents(self, api: Any) -> None:
        make("A", name="Café Crème 手机壳")
        for part in ("cafe", "FÉ CR", "reme", "手机", "机", "ca"):
            assert find(api, name=part) == ["A"], part
        assert find(api, name="remf") == []

    def test_what_is_changed_is_found_by_its_new_words_only(self, api: Any) -> None:
        make("A", name="Lamp", description="old")
        product_id = Product.objects.get().pk
        api.patch(f"/v1/products/{product_id}", {"name": "Chair", "description": "new", "barcode": "12345678"})
        assert find(api, q="lamp") == find(api, q="old") == find(api, name="amp") == []
        assert find(api, q="chair new") == find(api, q="12345678") == find(api, name="hai") == ["A"]

    def test_a_cursor_goes_on_where_products_are_added_and_back_again(self, api: Any) -> None:
        for number in range(5):
            make(f"N{number}", name="Lamp")
            make(f"D{number}", description="lamp")
        seen, url = [], "/v1/products/search?q=lamp&limit=3"
        while url:
            answer = api.get(url)
            seen.append([row["sku"] for row in answer.data])
            make(f"LATE{len(seen)}", name="Lamp")
            url = next_url(answer, "next")
        flat = [sku for page in seen for sku in page]
        assert flat == ["N4", "N3", "N2", "N1", "N0", "D4", "D3", "D2", "D1", "D0"]
        assert [row["sku"] for row in api.get(next_url(answer, "previous")).data] == ["D3", "D2", "D1"]

    @pytest.mark.parametrize("ordering", ["price", "-price", "name", "created_at"])
    def test_another_order_has_the_same_products(self, api: Any, ordering: str) -> None:
        catalog(40)
        assert sorted(find(api, q="phone", limit=100)) == sorted(find(api, q="phone", ordering=ordering, limit=100))
        assert find(api, q="galaxi", ordering=ordering)

    def test_facets_count_what_is_found(self, api: Any) -> None:
        for sku, price, category in (("A", 5, "Home"), ("B", 10, "home"), ("C", "19.99", "Garden"), ("D", 20, "")):
            make(sku, name="Lamp", price=Decimal(price), category=category)
        make("J", name="Lamp", price=Decimal(500), currency="JPY")
        make("X", name="Chair")
        facets = api.get("/v1/products/search?q=lamp&facets=true&limit=1").json["meta"]["facets"]
        assert (facets["counted"], facets["complete"]) == (5, True)
        assert facets["categories"] == [
            {"category": "", "product_count": 2},
            {"category": "Home", "product_count": 2},
            {"category": "Garden", "product_count": 1},
        ]
        bands = [(one["currency"], one["from"], one["until"], one["product_count"]) for one in facets["prices"]]
        assert bands == [
            ("JPY", "500", "999", 1),
            ("USD", "0.00", "9.99", 1),
            ("USD", "10.00", "19.99", 2),
            ("USD", "20.00", "49.99", 1),
        ]
        for currency, low, high, units in bands:
            query = {"q": "lamp", "currency": currency, "min_price": low, "max_price": high}
            assert len(find(api, **query)) == units, "a band finds what it counts"
        assert "facets" not in api.get("/v1/products/search?q=lamp").json["meta"]
        assert find(api, q="lamp", has_category="false") == ["J", "D"], "what is in no category"
        assert len(find(api, q="lamp", has_category="true")) == 3
        assert api.get("/v1/categories").data[1] == {"category": "Home", "product_count": 2}
        one = api.get("/v1/products/search?category=garden&facets=true").json["meta"]["facets"]
        assert one["counted"] == 1

    def test_of_many_the_newest_are_counted(self, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(search, "COUNTED", 3)
        for number, category in enumerate(["Old", "Old", "New", "New", "New"]):
            make(f"P{number}", name="Lamp", category=category, price=Decimal(number + 1))
        for asked in ("q=lamp", "q=p", "name=lamp", "currency=USD", "max_price=100"):
            facets = api.get(f"/v1/products/search?{asked}&facets=true&limit=1").json["meta"]["facets"]
            assert (facets["counted"], facets["complete"]) == (3, False), asked
            assert facets["categories"] == [{"category": "New", "product_count": 3}], asked

    def test_the_public_neither_finds_nor_counts_what_is_off_sale(self, api: Any, settings: Any) -> None:
        make("A", name="Lamp")
        make("B", name="Lamp", is_active=False)
        settings.ECI_OPEN = False
        answer = api.get("/v1/products/search?q=lamp&facets=true")
        assert ([row["sku"] for row in answer.data], answer.json["meta"]["facets"]["counted"]) == (["A"], 1)

    @pytest.mark.parametrize("parameter", ["q", "name"])
    def test_whatever_is_typed_is_answered(self, api: Any, parameter: str) -> None:
        """Signs of the engines' languages, what folds to nothing, and the longest there is."""
        make("A", name="Lamp")
        typed = (
            *(
                '"',
                "'",
                "a'b",
                'a"b',
                "a*",
                "a:b",
                "a:*",
                "^a",
                "-a",
                "NEAR(a b)",
                "a AND",
                "NOT",
                "(",
                ")",
                "a & !b",
                "|",
            ),
            *(
                "\\",
                "%",
                "_",
                "\u0301",
                "\u0327\u0301",
                "👩\u200d👧",
                "\u0964",
                "²",
                "ǅ",
                "\u1e9e",
                "手" * 200,
                "ab" * 100,
            ),
            *("x'; DROP TABLE catalog_product; --", "{}", "terms : a", "a\u00a0b", "İ", "ﬃ", "\u0130\u0307"),
        )
        for text in typed:
            for more in ({}, {"facets": "true"}, {"ordering": "price"}):
                assert api.get(f"/v1/products/search?{urlencode({parameter: text, **more})}").status == 200, text
        assert find(api, q="lamp") == ["A"]


def next_url(answer: Any, way: str) -> str:
    parts = urlsplit(answer.json["meta"][way] or "")
    return f"{parts.path}?{parts.query}" if parts.path else ""


@pytest.mark.parametrize(
    ("query", "most"), [("lamp", 10), ("p-7", 9), ("galaxy", 10), ("galaxi", 12), ("xyzzy plugh abcde", 11)]
)
def test_a_page_costs_few_statements_whatever_it_finds(statements: Any, query: str, most: int) -> None:
    catalog(40)
    with statements() as counted:
        selectors.products(paging=Paging(limit=20, order="-rank"), include_inactive=True, q=query)
    assert counted.total <= (10 if ON_SERVERS else most), counted.report()


@pytest.mark.parametrize(("few", "index"), [(0, "terms"), (10**9, "name_parts")])
def test_the_index_is_asked(monkeypatch: pytest.MonkeyPatch, few: int, index: str) -> None:
    """Not the table, also where PostgreSQL would rather read one that is as small as a test's."""
    monkeypatch.setattr(search_postgresql, "FEW", few)
    catalog(5)
    products = Product.objects.all()
    asked = [search.named(found=products, name="amp"), search.named(found=products, name="ca")]
    with connections["catalog"].cursor() as cursor:
        if ON_SERVERS:
            cursor.execute("SET LOCAL enable_seqscan = off")
        plans = [found.explain() for found in asked]
    for plan, name in zip(plans, (index, "terms") if ON_SERVERS else ("names", "terms"), strict=True):
        assert f"Scan on catalog_product_{name}" in plan or f"SCAN catalog_{name} VIRTUAL TABLE INDEX" in plan


@pytest.mark.skipif(not ON_SERVERS, reason="SQLite's index lists its words itself")
def test_the_beginning_of_a_word_finds_what_was_written_before_words_were_listed_or_changed_since(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_postgresql, "FEW", 0)
    make("A", name="Lamp", description="with a telescope")
    with connections["catalog"].cursor() as cursor:
        cursor.execute("DROP FUNCTION catalog_term_added, catalog_term_changed CASCADE")
        cursor.execute("DROP TABLE catalog_term")
    search_indexes.install(using="catalog")
    make("B", name="Lamp", description="with a periscope")
    assert (find(api, q="telesc"), find(api, q="perisc")) == (["A"], ["B"])
    api.patch(
        f"/v1/products/{Product.objects.get(sku='B').pk}", {"description": "with a microscope", "category": "Opera"}
    )
    assert (find(api, q="microsc"), find(api, q="oper"), find(api, q="perisc")) == (["B"], ["B"], [])


def test_names_of_an_earlier_release_are_known_by_words_of_which_parts_are_looked_for() -> None:
    make("A", name="Case for iPhone15x")
    Word.objects.all().delete()
    migration = importlib.import_module("contexts.catalog.migrations.0015_words_with_parts")
    migration.learn(apps, connections["catalog"].schema_editor())
    assert set(Word.objects.values_list("word", "head")) == {("iphone15x", "")}


def test_products_of_an_earlier_release_are_indexed_later() -> None:
    make("A", name="Lamp")
    Product.objects.update(plain_name="", terms="")
    assert found("lamp", Paging(limit=5, order="-rank")) == []
    services.index_missing()
    assert len(found("lamp", Paging(limit=5, order="-rank"))) == 1


def test_compounds_of_an_earlier_release_are_found_without_their_signs() -> None:
    make("A", name="Wi-Fi router", category="E‑mail")
    make("B", name="Lamp")
    terms = _terms(Product(sku="A", name="Wi Fi router", category="E mail"))
    Product.objects.filter(sku="A").update(terms=terms, plain_name="wi fi router")
    assert found("wifi", Paging(limit=5, order="-rank")) == []
    migration = importlib.import_module("contexts.catalog.migrations.0017_compounds")
    migration.fill(apps, connections["catalog"].schema_editor())
    assert len(found("wifi", Paging(limit=5, order="-rank"))) == 1
    assert len(found("email", Paging(limit=5, order="-rank"))) == 1
    assert Product.objects.get(sku="A").plain_name == "wi-fi router"


@pytest.mark.skipif(ON_SERVERS, reason="PostgreSQL's words are listed by triggers")
def test_the_beginning_of_a_word_is_found_in_a_shop_of_an_earlier_release() -> None:
    make("A", name="Microscope")
    with connections["catalog"].cursor() as cursor:
        cursor.execute("DROP TABLE catalog_terms_listed")
    search_indexes.install(using="catalog")
    make("B", name="Microphone")
    for query, many in (("micro", 2), ("micros", 1), ("microphone", 1), ("microx", 0)):
        assert len(found(query, Paging(limit=5, order="-rank"))) == many, query
