"""What columns of products are called: prices with and without tax, and what is on sale."""

from __future__ import annotations

import pytest

from contexts.catalog.imports.products import Products
from eci.imports import mapping, values
from eci.imports.mapping import Columns
from tests.support.imports import Importing, csv, xlsx

pytestmark = pytest.mark.any_engine


def columns(*names: str) -> Columns:
    return mapping.columns_of([(1, ["sku", *names])], Products(), mapping={}, header_row=None)


@pytest.mark.parametrize(
    ("name", "currency"),
    [
        *(("price excl. VAT", ""), ("Price incl. VAT", ""), ("Price tax excluded", ""), ("Net price", "")),
        *(("Preis (netto)", ""), ("Preis inkl. MwSt.", ""), ("Prix TTC", ""), ("Prezzo IVA inclusa", "")),
        *(
            ("price_eur", "EUR"),
            ("USD Price", "USD"),
            ("EUR", "EUR"),
            ("Price [GBP]", "GBP"),
            ("Price excl. VAT €", "EUR"),
        ),
        *(
            ("Preis in Euro", "EUR"),
            ("Cena zł", "PLN"),
            ("Price ($)", "$"),
            ("PRICE (EUR)", "EUR"),
            ("Price (THB)", "THB"),
        ),
        *(("Sales Price", ""), ("Euro", "EUR"), ("*StartPrice", "")),
        *(("VK", ""), ("VK brutto", ""), ("VK-Preis", ""), ("PVP", ""), ("Pris inkl. moms", ""), ("Preço", "")),
        *(("Precio de venta", ""), ("Prezzo al pubblico", ""), ("Retail", ""), ("Retail price (EUR)", "EUR")),
    ],
)
def test_a_price_by_many_names(name: str, currency: str) -> None:
    found = columns(name)
    assert found.fields["price"] == [1]
    assert found.currencies.get(1, "") == currency


@pytest.mark.parametrize("name", ["Price (in cents)", "Price per 100", "cost price", "Top price", "Einkaufspreis"])
def test_what_may_be_a_price_is_asked(name: str) -> None:
    found = columns("name", name)
    assert "price" not in found.fields
    assert mapping.sounding(found, Products().fields[5], Products()) == [name]


def test_a_column_that_sounds_like_the_price_is_asked_of_once() -> None:
    price, is_active = (Products().field_named(name) for name in ("price", "is_active"))
    found = columns("name", "Prezzo pubblico")
    assert price and mapping.sounding(found, price, Products()) == ["Prezzo pubblico"]
    assert is_active and mapping.sounding(found, is_active, Products()) == []


@pytest.mark.parametrize("name", ["MSRP", "RRP", "UVP inkl. MwSt.", "UVP (EUR)"])
def test_a_recommended_price_alone_is_asked(importing: Importing, name: str) -> None:
    read = importing.read(csv(f"sku,name,{name}", "A,A,5.00"))
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], asked["choices"]) == ("price", [name])
    assert importing.answer(read["import_id"], price=name)["counts"]["new"] == 1


def test_a_column_of_amounts_is_asked_where_new_products_have_no_price(importing: Importing) -> None:
    file = csv("sku;name;Zwei;EAN;Gewicht;VKP1;Datum", "A;A;2;4006381333931;1,5;5,00;12.05.2024", "B;B;;;;7,95;")
    read = importing.read(file)
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], asked["choices"]) == ("mapping", ["Gewicht", "VKP1"])
    assert "No column is known as price. Is it one of: Gewicht, VKP1?" in asked["question"]
    importing.api.patch(f"/v1/imports/{read['import_id']}", {"mapping": {"VKP1": "price"}})
    importing.work()
    importing.apply(read["import_id"])
    assert importing.seen(read["import_id"])["counts"]["new"] == 2
    asked_again = [one for one in importing.read(file)["questions"] if one["needed"]]
    assert asked_again == [], "products that are there have a price"


@pytest.mark.parametrize("name", ["TOP", "CUP", "All", "VAT", "Tax", "Try"])
def test_words_that_are_codes_of_currencies_are_words(name: str) -> None:
    assert "price" not in columns(name).fields


@pytest.mark.parametrize(
    ("names", "cells", "is_on_sale"),
    [
        *((["Active (0/1)"], ["0"], False), (["Enabled"], ["1"], True), (["visibility"], ["hidden"], False)),
        *((["Status"], ["discontinued"], False), (["Veröffentlicht"], ["nein"], False), (["Can be Sold"], ["t"], True)),
        *((["Archived"], ["yes"], False), (["deleted"], ["0"], True), (["Gelöscht"], ["ja"], False)),
        *(
            (["Archivé ?"], ["non"], True),
            (["Discontinued"], ["discontinued"], False),
            (["is_hidden"], ["TRUE"], False),
        ),
        *((["Active", "Archived"], ["1", "yes"], False), (["Status", "Archived"], ["active", "no"], True)),
        *((["Active", "Deleted", "Visible"], ["1", "", "0"], False),),
    ],
)
def test_what_is_off_sale_at_the_old_shop(
    importing: Importing, names: list[str], cells: list[str], is_on_sale: bool
) -> None:
    read = importing.read(csv(",".join(["sku,name,price", *names]), ",".join(["A,A,5", *cells])))
    assert importing.rows(read["import_id"])[0]["changes"]["is_active"] == [None, is_on_sale]


def test_a_column_that_says_the_opposite_is_named(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price,Archived", "A,A,5,no"))
    assert read["notes"] == ["These say the opposite, yes for no: Archived."]


def test_what_may_say_that_a_product_is_off_sale_is_asked(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price,Available for order", "A,A,5,0"))
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], asked["choices"]) == ("mapping", ["Available for order"])
    assert "No column is known as is_active. Is it one of: Available for order?" in asked["question"]
    importing.api.patch(f"/v1/imports/{read['import_id']}", {"mapping": {"Available for order": None}})
    importing.work()
    assert importing.seen(read["import_id"])["counts"]["new"] == 1


def test_what_only_begins_alike_is_not_asked(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price,Publisher,Activity", "A,A,5,Faber,Hiking"))
    assert [one for one in read["questions"] if one["needed"]] == []


def test_a_file_that_says_nothing_of_products_is_asked(importing: Importing) -> None:
    read = importing.read(csv("sku,onhand", "A,5"))
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert asked["question"].startswith("No column but sku is known, and so the file says nothing.")


def test_a_cell_of_no_flag_is_no_yes() -> None:
    assert [values.is_yes(cell) for cell in ("yes", "no", "perhaps", "")] == [True, False, False, False]


class TestSheets:
    def test_a_cover_is_passed_over(self, importing: Importing) -> None:
        content = xlsx(["Instructions"], Products=[["SKU", "Name", "Price"], ["A", "A", 5]])
        read = importing.read(content, name="x.xlsx")
        assert (read["detected"]["sheet"], read["counts"]["new"]) == ("Products", 1)
        assert read["notes"] == ["The sheet 'Products' is read: its columns are known best."]

    def test_where_none_is_known_another_can_be_chosen(self, importing: Importing) -> None:
        content = xlsx(["Instructions"], Tuotteet=[["Koodi", "Nimi"], ["A", "A"]])
        read = importing.read(content, name="x.xlsx")
        assert read["status"] == "FAILED"
        assert read["error"].endswith(
            "The file begins with: Instructions. This is of the sheet 'Sheet'. The others: Tuotteet."
        )
        (asked,) = read["questions"]
        assert (asked["name"], asked["choices"]) == ("sheet", ["Sheet", "Tuotteet"])
        assert importing.answer(read["import_id"], sheet="Tuotteet")["detected"]["columns"] == ["Koodi", "Nimi"]


def test_what_is_on_sale_may_be_called_as_our_pages_call_it(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price,On sale", "A,A,1,no", "B,B,1,yes"))
    assert [row["changes"]["is_active"][1] for row in importing.rows(read["import_id"])] == [False, True]


def test_prices_before_and_after_tax_are_among_the_choices(importing: Importing) -> None:
    read = importing.read(csv("sku;name;Netto-VK;Brutto-VK;UVP", "A;A;8,40;10,00;12,00"))
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], set(asked["choices"])) == ("price", {"Netto-VK", "Brutto-VK", "UVP"})
    importing.answer(read["import_id"], price="Brutto-VK")
    assert importing.rows(read["import_id"])[0]["changes"]["price"] == [None, "10.00"]


def test_a_column_that_nobody_knows_may_be_the_answer(importing: Importing) -> None:
    content = csv("sku,name,Asking,Weight,UVP", "A,A,10.00 USD,3,12.00")
    read = importing.read(content)
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert asked["question"] == (
        "Is UVP the price that the shop asks, or is it one of: Asking? If none is, leave the column out."
    )
    assert asked["choices"] == ["UVP", "Asking"]
    assert importing.answer(read["import_id"], price="Asking")["mapping"]["Asking"] == "price"
    assert importing.rows(read["import_id"])[0]["changes"]["price"] == [None, "10.00"]
    weight = importing.read(content, options={"price": "Cost"})
    assert weight["error"] == "options: price is no column 'Cost'. Columns: UVP, Asking, Weight."
