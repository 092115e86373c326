"""Products and prices from files: what a row changes, what it is refused for, and how it is taken back."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from typing import Any

import pytest
from openpyxl import load_workbook

from contexts.catalog.models import PriceChange, Product, Trail
from tests.support.imports import Importing, csv, xlsx


def repacked(workbook: bytes, others: dict[bytes, bytes]) -> bytes:
    """The workbook with other text in its parts."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as parts, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in parts.namelist():
            part = parts.read(name)
            for old, new in others.items():
                part = part.replace(old, new)
            packed.writestr(name, part)
    return made.getvalue()


def by_sku(importing: Importing) -> dict[str, dict[str, Any]]:
    return {one["sku"]: one for one in importing.api.get("/v1/products?limit=100").data}


def refusals(importing: Importing, read: dict[str, Any]) -> dict[str, list[str]]:
    return {row["key"]: row["messages"] for row in importing.rows(read["import_id"], "&outcome=refused")}


def test_rows_are_new_changed_or_the_same(importing: Importing) -> None:
    for sku, price in (("A", "10.00"), ("B", "5.00")):
        importing.api.post("/v1/products", {"sku": sku, "name": sku, "price": price})
    before = list(Product.objects.order_by("pk").values())
    read = importing.read(csv("sku,name,price", "A,A,12.50", "B,B,5", "C,C,1"))
    rows = {row["key"]: (row["outcome"], row["changes"]) for row in importing.rows(read["import_id"])}
    assert rows["A"] == ("changed", {"price": ["10.00", "12.50"]})
    assert rows["B"] == ("same", {})
    assert rows["C"][0] == "new"
    assert rows["C"][1]["price"] == [None, "1.00"]
    assert list(Product.objects.order_by("pk").values()) == before, "a dry run changes nothing"
    done = importing.apply(read["import_id"])
    assert (done["status"], done["progress"]["percent"], done["counts"]["new"]) == ("APPLIED", 100, 1)
    assert {sku: one["price"] for sku, one in by_sku(importing).items()} == {"A": "12.50", "B": "5.00", "C": "1.00"}
    actor = f"import:{read['import_id']}"
    assert PriceChange.objects.filter(actor=actor).count() == 2
    assert Trail.objects.filter(actor=actor).count() == 2
    assert Product.objects.get(sku="B").version == 1


def test_an_absurd_cell_refuses_its_row_and_no_other(importing: Importing) -> None:
    prices = {
        **dict.fromkeys(("9" * 27, "9" * 5_000, f"{'9' * 30}.5"), "price: An amount has at most 12 digits."),
        "1e999999": "is not a number",
        **dict.fromkeys(("NaN", "Infinity"), "is not a price"),
    }
    rows = [f"P-{at},Lamp,{price},USD" for at, price in enumerate(prices)]
    read = importing.read(csv("sku,name,price,currency", *rows, "A,Lamp,5,\0", "B,Lamp,5,USD"))
    refused = refusals(importing, read)
    assert (read["status"], read["counts"]["new"], read["counts"]["refused"]) == ("READY", 1, len(prices) + 1)
    for at, sentence in enumerate(prices.values()):
        assert sentence in refused[f"P-{at}"][0]
    assert refused["A"] == ["currency: '\ufffd' is not a currency."]


def test_an_absurd_cell_of_a_workbook_refuses_its_row_and_no_other(importing: Importing) -> None:
    rows = [("A", 1e30), ("B", 12.5), ("C", 77), ("D", 78), ("E", 78), ("F", 12.5)]
    formats = {"C3": f"0.{'0' * 30}", "C5": "0%", "C6": "# ?/?"}
    content = xlsx(("sku", "name", "price"), *((sku, sku, price) for sku, price in rows), formats=formats)
    content = repacked(content, {b"<v>77</v>": b"<v>NaN</v>", b"<v>78</v>": b"<v>%s</v>" % (b"9" * 400)})
    read = importing.read(content)
    refused = refusals(importing, read)
    assert (read["status"], read["error"], [*refused]) == ("READY", None, ["A", "C", "D", "E"])
    assert refused["A"] == ["price: An amount has at most 12 digits."]
    assert refused["C"] == ["price: The spreadsheet has an error here (#NUM!)."]


def test_many_rows_take_few_statements(importing: Importing, statements: Any) -> None:
    content = csv("sku,name,price", *(f"S-{n},Name {n},{n + 1}" for n in range(200)))
    with statements() as reading:
        read = importing.read(content)
    with statements() as applying:
        importing.apply(read["import_id"])
    assert reading.total <= 40, reading.report()
    assert applying.total <= 45, applying.report()


def test_a_sku_is_text(importing: Importing) -> None:
    content = csv(
        "sku,name,price", "0017,A,1", "17,B,1", "'00123,C,1", '"=""00456""",D,1', "90.750,E,1", "1.23457E+12,F,1"
    )
    read = importing.read(content)
    warned = {row["key"]: row["messages"] for row in importing.rows(read["import_id"], "&outcome=warned")}
    assert set(warned) == {"1.23457E+12"}
    importing.apply(read["import_id"])
    assert set(by_sku(importing)) == {"0017", "17", "00123", "00456", "90.750", "1.23457E+12"}


def test_codes_whose_zeros_a_spreadsheet_has_taken_are_warned_of(importing: Importing) -> None:
    importing.take(csv("sku,name,price", "0017,A,1", "19,B,1"))
    content = csv("sku,name,price,barcode", "17,A,2,", "18,B,2,12345678905", "19,B,2,12345678906", "0020,C,2,")
    read = importing.read(content)
    warned = {row["key"]: row["messages"] for row in importing.rows(read["import_id"], "&outcome=warned")}
    assert warned == {
        "17": ["There is a product 0017: has a spreadsheet taken its zeros?"],
        "18": ["barcode: Has a spreadsheet taken the zeros of 012345678905?"],
    }
    prices = importing.read(csv("sku,price", "17,2"), kind="prices")
    assert "There is a product 0017: has a spreadsheet taken its zeros?" in refusals(importing, prices)["17"]


def test_codes_that_a_spreadsheet_has_made_dates_are_warned_of(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price", "01-Jan,A,1", "JAN-1,B,1"))
    assert [row["key"] for row in importing.rows(read["import_id"], "&outcome=warned")] == ["01-Jan"]


def test_a_workbooks_prices_are_in_the_currency_that_it_shows(importing: Importing) -> None:
    rows = [["sku", "name", "price"], ["A", "A", 1234.5], ["B", "B", 10], ["C", "C", 0.15], ["D", "D", 7.5]]
    formats = {"C2": "#,##0.00 [$€-407]", "C3": "[$£-809]#,##0.00", "C4": "0%", "C5": '0.00 "Punkte"'}
    read = importing.read(xlsx(*rows, formats=formats), name="x.xlsx")
    assert refusals(importing, read) == {
        "C": ["price: A percentage is not a price."],
        "D": ["price: 'Punkte' is not a currency."],
    }
    as_file = importing.api.client.get(f"/v1/imports/{read['import_id']}/rows?outcome=refused&format=csv")
    sent_back = b"".join(as_file.streaming_content).decode("utf-8-sig")
    assert [line.split(",")[:3] for line in sent_back.splitlines()[1:]] == [["C", "C", "15%"], ["D", "D", "7.5 Punkte"]]
    importing.apply(read["import_id"])
    prices = {sku: (one["price"], one["currency"]) for sku, one in by_sku(importing).items()}
    assert prices == {"A": ("1234.50", "EUR"), "B": ("10.00", "GBP")}


def test_numbers_of_a_workbook_are_taken_as_they_are_shown(importing: Importing) -> None:
    importing.take(
        xlsx(["sku", "name", "price"], [17, "A", 19.990000000000002], [1234567890123, "B", 5]), name="x.xlsx"
    )
    assert {sku: one["price"] for sku, one in by_sku(importing).items()} == {"17": "19.99", "1234567890123": "5.00"}


def test_codes_that_a_workbook_shows_with_zeros_have_them(importing: Importing) -> None:
    book = load_workbook(io.BytesIO(xlsx(["sku", "name", "price"], [17, 17, 17], [4711, "B", 2], ["x", "C", 3])))
    for row in (2, 3):
        for column in "ABC":
            book.active[f"{column}{row}"].number_format = "00000"
    file = io.BytesIO()
    book.save(file)
    importing.take(file.getvalue(), name="x.xlsx")
    found = {sku: (one["name"], one["price"]) for sku, one in by_sku(importing).items()}
    assert found == {"00017": ("17", "17.00"), "04711": ("B", "2.00"), "x": ("C", "3.00")}


def test_each_cell_of_a_workbook_says_what_its_code_is(importing: Importing) -> None:
    rows = [["sku", "name", "price"], [42, "A", 1], [17, "B", 1], ["AB-7", "C", 1], [42, "D", 1], [42, "E", 1]]
    formats = {"A2": "00000", "A3": "0000", "A5": '"ART-"0000', "A6": "0.00"}
    read = importing.read(xlsx(*rows, formats=formats), name="x.xlsx")
    assert {row["key"]: row["messages"] for row in importing.rows(read["import_id"])} == {
        **dict.fromkeys(("00042", "0017", "AB-7", "ART-0042"), []),
        "42": ["sku: The workbook has 42 here, and shows it as 0.00. Is this the code?"],
    }


def test_a_price_of_a_workbook_is_the_one_that_it_shows(importing: Importing) -> None:
    rows = [["sku", "name", "price"], ["A", "A", 14.875], [7, "B", 14.875], [8, "", 14.875], ["D", "D", 14.875]]
    formats = {"C2": "0.00", "A3": "0000", "C3": "#,##0.00", "A4": "0000", "C4": "0.00"}
    read = importing.read(xlsx(*rows, formats=formats), name="x.xlsx")
    assert refusals(importing, read)["D"] == ["price: An amount in USD has at most 2 decimal places."]
    as_file = importing.api.client.get(f"/v1/imports/{read['import_id']}/rows?outcome=refused&format=csv")
    sent_back = b"".join(as_file.streaming_content).decode("utf-8-sig")
    assert [line.split(",")[:3] for line in sent_back.splitlines()[1:]] == [
        *(["0008", "", "14.88"], ["D", "D", "14.875"])
    ]
    importing.apply(read["import_id"])
    assert {sku: one["price"] for sku, one in by_sku(importing).items()} == {"A": "14.88", "0007": "14.88"}


def test_numbers_of_a_workbook_have_a_point_whatever_its_texts_have(importing: Importing) -> None:
    rows = [["sku", "name", "price"], ["A", "A", "12,50"], ["B", "B", 3.5], ["C", "C", 1.299], ["D", "D", 7]]
    read = importing.read(xlsx(*rows), name="x.xlsx")
    assert [one["name"] for one in read["questions"] if one["needed"]] == [], "what numbers are is known"
    assert refusals(importing, read) == {"C": ["price: An amount in USD has at most 2 decimal places."]}
    importing.apply(read["import_id"])
    assert {sku: one["price"] for sku, one in by_sku(importing).items()} == {"A": "12.50", "B": "3.50", "D": "7.00"}


def test_a_table_has_at_most_a_thousand_columns(importing: Importing) -> None:
    columns = [f"c{number}" for number in range(997)]
    assert importing.read(csv(",".join(["sku", "name", "price", *columns]), "A,A,1"))["counts"]["new"] == 1
    failed = importing.read(csv(",".join(["sku", "name", "price", *columns, "one more"]), "A,A,1"))
    assert failed["error"] == "Line 1 has more than 1,000 columns."


def test_a_total_below_the_rows_is_refused_alone(importing: Importing) -> None:
    read = importing.read(
        csv("Price list;;;", ";;;", "Product;Reference;Price (tax excl.);", "Tea;T;4,50;", "Total;;4,50;")
    )
    assert importing.outcomes(read["import_id"]) == [(4, "new"), (5, "refused")]


def test_rows_that_do_not_fit_their_columns_are_refused(importing: Importing) -> None:
    lines = ["A,Lamp,1,299.00", "B,Lamp,45,00", "C,C,3,,", 'D,"D,4', "E,E,5", 'F,"F",6', "G,G,7"]
    read = importing.read(csv("sku,name,price", *lines))
    assert [line for line, outcome in importing.outcomes(read["import_id"]) if outcome == "new"] == [4, 8]
    wide, wider, torn = (row["messages"][0] for row in importing.rows(read["import_id"], "&outcome=refused"))
    assert wide == wider
    assert wide.startswith("This row has 4 cells, and the header 3.")
    assert torn.startswith("The quotation marks of lines 5 to 7, of which nothing is taken, do not pair.")
    beside = importing.read(xlsx(["sku", "name", "price"], ["A", "A", 1, "a remark"]), name="x.xlsx")
    assert importing.outcomes(beside["import_id"]) == [(2, "new")]


def test_columns_that_nobody_knows_are_asked(importing: Importing) -> None:
    read = importing.read(csv("Koodi;Nimi;Hinta", "A;Lampe;9,99"))
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert (read["status"], asked["name"]) == ("READY", "mapping")
    assert asked["choices"] == ["Koodi", "Nimi", "Hinta"]
    assert importing.api.post(f"/v1/imports/{read['import_id']}/apply").status == 409
    said = {"Koodi": "sku", "Nimi": "name", "Hinta": "price"}
    importing.api.patch(f"/v1/imports/{read['import_id']}", {"mapping": said})
    importing.work()
    importing.apply(read["import_id"])
    assert by_sku(importing)["A"]["price"] == "9.99"


def test_a_file_in_one_of_several_encodings_is_asked(importing: Importing) -> None:
    read = importing.read("sku,name,price\nA,Тетрадь,5\n".encode("koi8_r"))
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], "koi8_r: 'Тетрадь'" in asked["question"]) == ("encoding", True)
    assert "koi8_r" in asked["choices"]
    assert importing.answer(read["import_id"], encoding="koi8_r")["counts"]["new"] == 1
    assert importing.rows(read["import_id"])[0]["changes"]["name"] == [None, "Тетрадь"]


def test_a_file_that_is_not_in_the_encoding_that_was_said_is_asked_again(importing: Importing) -> None:
    content = "sku;name;price\nU5;Fööß Mütze;3,00\n".encode("cp850")
    read = importing.read(content)
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert (read["status"], asked["name"], "cp850: 'Fööß, Mütze'" in asked["question"]) == ("READY", "encoding", True)
    failed = importing.answer(read["import_id"], encoding="utf-16")
    sentence = "The file is not wholly in utf-16. Say which encoding it is in, or save it as UTF-8."
    assert (failed["status"], failed["error"], failed["questions"]) == ("FAILED", sentence, [asked])
    assert importing.answer(read["import_id"], encoding="cp850")["status"] == "READY"
    assert importing.rows(read["import_id"])[0]["changes"]["name"] == [None, "Fööß Mütze"]


def test_a_formula_is_refused_in_one_sentence(importing: Importing) -> None:
    read = importing.read(xlsx(["sku", "name", "price"], ["A", "A", "=B1*2"], ["B", "B", 2]), name="x.xlsx")
    assert refusals(importing, read) == {
        "A": ["price: This cell is a formula (=B1*2). Save the file with values in its place."]
    }


@pytest.mark.parametrize(
    ("cell", "price"),
    [
        *((".5", "0.50"), ("14.0000", "14.00"), ("19.990000000000002", "19.99"), ("$25.00", "25.00")),
        *(('"$4,250.00"', "4250.00"), ('"1,299.00"', "1299.00"), ("19.99 USD", "19.99"), ("1\u202f299.00", "1299.00")),
        *(("1'299.00", "1299.00"), ("+3", "3.00")),
    ],
)
def test_prices_are_understood(importing: Importing, cell: str, price: str) -> None:
    importing.take(csv("sku,name,price", f"A,A,{cell}", "B,B,1.05"))
    assert by_sku(importing)["A"]["price"] == price


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("-1", "price: A price must not be negative."),
        ("1.005", "price: An amount in USD has at most 2 decimal places."),
        ("cheap", "price: 'cheap' is not a price."),
        ("NaN", "price: 'NaN' is not a price."),
        ("1.2.3", "price: '1.2.3' is not a number in which '.' is the decimal sign."),
        ("9999999999999", "price: An amount has at most 12 digits."),
        ("#REF!", "price: The spreadsheet has an error here (#REF!)."),
    ],
)
def test_what_is_no_price_is_refused(importing: Importing, cell: str, sentence: str) -> None:
    read = importing.read(csv("sku,name,price", f"A,A,{cell}", "B,B,1.05"))
    assert refusals(importing, read) == {"A": [sentence]}
    assert read["counts"]["new"] == 1


def test_the_currency_of_a_price_is_its_own(importing: Importing) -> None:
    importing.api.post("/v1/products", {"sku": "EUR", "name": "E", "price": "1", "currency": "EUR"})
    importing.take(csv("sku,name,price", "EUR,E,2"))
    importing.take(csv("sku,name,price", "GBP,G,£4.00"))
    found = by_sku(importing)
    assert [(found[sku]["price"], found[sku]["currency"]) for sku in ("EUR", "GBP")] == [
        ("2.00", "EUR"),
        ("4.00", "GBP"),
    ]
    read = importing.read(csv("sku,price,currency", "EUR,5 GBP,EUR"))
    assert refusals(importing, read) == {"EUR": ["price: The price is in GBP, but the currency is EUR."]}


@pytest.mark.parametrize(
    ("cells", "choices"),
    [(["€12", "13", "£15"], ["EUR", "GBP", "USD"]), (["5 kr", "13", "7"], ["SEK", "NOK", "DKK", "ISK"])],
)
def test_prices_that_do_not_all_say_their_currency_are_asked(
    importing: Importing, cells: list[str], choices: list[str]
) -> None:
    read = importing.read(csv("sku,name,price", *(f"{n},{n},{cell}" for n, cell in enumerate(cells))))
    (asked,) = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], asked["choices"]) == ("currency", choices)
    importing.answer(read["import_id"], currency=choices[0])
    importing.apply(read["import_id"])
    assert by_sku(importing)["1"]["currency"] == choices[0]


def test_prices_whose_currency_stands_beside_them_are_not_asked(importing: Importing) -> None:
    for content in (csv("sku,name,price,currency", "A,A,€5,", "B,B,6,EUR"), csv("sku,name,price", "A,A,$5", "B,B,6")):
        assert not [one for one in importing.read(content)["questions"] if one["needed"]]


def test_the_currency_of_prices_that_name_none_may_be_said(importing: Importing) -> None:
    importing.take(csv("sku,name,price", "A,A,5", "B,B,£6"), options={"currency": "EUR"})
    found = by_sku(importing)
    assert [(found[sku]["price"], found[sku]["currency"]) for sku in "AB"] == [("5.00", "EUR"), ("6.00", "GBP")]


def test_a_column_may_say_its_currency(importing: Importing) -> None:
    importing.take(csv("sku,name,PRICE (EUR)", "A,A,2.50", "B,B,£3", "C,C,4 EUR"))
    importing.take(xlsx(["sku", "name", "Price in €"], ["D", "D", 5.25], ["E", "E", "6,50"]), name="x.xlsx")
    found = {sku: (one["price"], one["currency"]) for sku, one in by_sku(importing).items()}
    assert sorted(found.items()) == [
        *(("A", ("2.50", "EUR")), ("B", ("3.00", "GBP")), ("C", ("4.00", "EUR"))),
        *(("D", ("5.25", "EUR")), ("E", ("6.50", "EUR"))),
    ]
    (asked,) = [one for one in importing.read(csv("sku,Price USD,Price EUR", "A,1,2"))["questions"] if one["needed"]]
    assert (asked["name"], asked["choices"]) == ("price", ["Price USD", "Price EUR"])


def test_the_decimal_sign_is_asked_where_either_may_be_meant(importing: Importing) -> None:
    read = importing.read(csv("sku;name;price", "A;A;1.299", "B;B;2.500"))
    assert [one["name"] for one in read["questions"] if one["needed"]] == ["decimal"]
    importing.apply(importing.answer(read["import_id"], decimal=",")["import_id"])
    assert {sku: one["price"] for sku, one in by_sku(importing).items()} == {"A": "1299.00", "B": "2500.00"}


def test_blank_cells_leave_unless_they_are_to_clear(importing: Importing) -> None:
    importing.api.post(
        "/v1/products", {"sku": "A", "name": "A", "price": "1", "category": "Old", "description": "Long"}
    )
    content = csv("sku,name,category,price", "A,,,")
    assert importing.read(content)["counts"]["same"] == 1
    read = importing.read(content, options={"blank": "clear"})
    assert importing.rows(read["import_id"])[0]["changes"] == {"category": ["Old", ""]}
    importing.apply(read["import_id"])
    found = by_sku(importing)["A"]
    assert (found["name"], found["category"], found["description"], found["price"]) == ("A", "", "Long", "1.00")


def test_what_a_blank_cell_means_may_be_said_of_each_field(importing: Importing) -> None:
    body = {"sku": "A", "name": "A", "price": "1", "category": "Old", "description": "Long", "barcode": "12345678"}
    importing.api.post("/v1/products", body)
    read = importing.read(csv("sku,category,description,barcode", "A,,,"))
    [asked] = read["questions"]
    assert (asked["name"], asked["answer"], read["counts"]["same"]) == ("blank", "leave", 1)
    assert all(field in asked["question"] for field in ("description", "category", "barcode"))
    answered = importing.answer(
        read["import_id"], blank={"category": "clear", "barcode": "clear", "description": "leave"}
    )
    assert answered["questions"][0]["answer"]["category"] == "clear"
    importing.apply(read["import_id"])
    found = by_sku(importing)["A"]
    assert (found["category"], found["description"], found["barcode"]) == ("", "Long", None)
    importing.undo(read["import_id"])
    assert by_sku(importing)["A"]["barcode"] == "12345678"


def test_categories_with_bars_are_names_and_have_a_limit(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price,category", "A,A,1,Home|Garden", f"B,B,1,{'x' * 256}"))
    assert refusals(importing, read) == {"B": ["category: This must have at most 255 characters."]}
    importing.apply(read["import_id"])
    assert by_sku(importing)["A"]["category"] == "Home|Garden"


def test_flags_are_understood(importing: Importing) -> None:
    yes, no = "TRUE true 1 -1 Y enabled visible Published".split(), "FALSE 0 N disabled hidden draft".split()  # noqa: SIM905
    importing.take(csv("sku,name,price,published", *(f"{flag}-{n},A,1,{flag}" for n, flag in enumerate(yes + no))))
    assert [one["is_active"] for one in sorted(by_sku(importing).values(), key=lambda one: one["product_id"])] == [
        *[True] * len(yes),
        *[False] * len(no),
    ]
    read = importing.read(csv("sku,name,price,published", "X,A,1,perhaps"))
    assert refusals(importing, read) == {"X": ["is_active: 'perhaps' is neither yes nor no."]}


def test_texts_are_taken_in_as_at_every_door(importing: Importing) -> None:
    content = csv(
        "sku,name,price,description",
        'A," Cafe\u0301  \u201cNo. 1\u201d\nbig ",1,"line 1\nline 2\tend"',
        f"B,{'x' * 501},1,",
    )
    read = importing.read(content)
    assert refusals(importing, read) == {"B": ["name: This must have at most 500 characters."]}
    importing.apply(read["import_id"])
    found = by_sku(importing)["A"]
    assert (found["name"], found["description"]) == ("Café  “No. 1” big", "line 1\nline 2 end")


def test_text_that_was_broken_before_is_warned_of(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price", "A,CafÃ©,1"))
    [row] = importing.rows(read["import_id"], "&outcome=warned")
    assert row["messages"] == ["'CafÃ©' looks broken: 'Ã©' was probably 'é'."]


def test_the_same_sku_twice(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price", "A,A,1", "A,A,1", "A,A,2", "a,a,3"))
    assert importing.outcomes(read["import_id"]) == [(2, "new"), (3, "skipped"), (4, "refused"), (5, "new")]
    assert refusals(importing, read) == {"A": ["A stands on line 2 already, with other values."]}
    importing.apply(read["import_id"])
    assert {sku: one["price"] for sku, one in by_sku(importing).items()} == {"A": "1.00", "a": "3.00"}


def test_a_barcode_is_digits_and_one_product_s(importing: Importing) -> None:
    importing.api.post("/v1/products", {"sku": "OLD", "name": "O", "price": "1", "barcode": "036000291452"})
    read = importing.read(
        csv("sku,name,price,EAN", "A,A,1,036000291452", "B,B,1,8.8E+12", "C,C,1,'00036000291452", "D,D,1,12", "E,E,1,")
    )
    assert refusals(importing, read) == {
        "A": ["barcode: The product OLD has this barcode."],
        "D": ["barcode: A barcode has 8 to 14 digits."],
    }
    importing.apply(read["import_id"])
    assert {sku: one["barcode"] for sku, one in by_sku(importing).items() if sku != "OLD"} == {
        "B": None,
        "C": "00036000291452",
        "E": None,
    }


def test_prices_need_products_that_there_are(importing: Importing) -> None:
    importing.api.post("/v1/products", {"sku": "A", "name": "A", "price": "1"})
    read = importing.read(csv("sku,price", "A,2", "B,3"), kind="prices")
    assert refusals(importing, read) == {"B": ["sku: There is no product with this SKU."]}
    importing.apply(read["import_id"])
    assert by_sku(importing)["A"]["price"] == "2.00"


class TestUndo:
    def test_restores_what_nobody_has_changed_since_and_names_the_rest(self, importing: Importing) -> None:
        for sku in ("A", "B", "C"):
            importing.api.post("/v1/products", {"sku": sku, "name": sku, "price": "1", "category": "Old"})
        done = importing.take(
            csv("sku,name,price,category", "A,A,2,New", "B,B,2,New", "C,C,1,Old", "NEW-1,N,9,", "NEW-2,N,9,")
        )
        mine = by_sku(importing)
        importing.api.patch(f"/v1/products/{mine['B']['product_id']}", {"price": "3"})
        importing.api.patch(f"/v1/products/{mine['NEW-2']['product_id']}", {"name": "Mine"})
        undone = importing.undo(done["import_id"])
        assert (undone["status"], undone["counts"]["undone"], undone["counts"]["kept"]) == ("UNDONE", 2, 2)
        found = by_sku(importing)
        assert [(found[sku]["price"], found[sku]["category"]) for sku in "ABC"] == [
            *(("1.00", "Old"), ("3.00", "Old"), ("1.00", "Old"))
        ]
        assert [found[sku]["is_active"] for sku in ("NEW-1", "NEW-2")] == [False, True]
        kept = {row["key"]: row["messages"] for row in importing.rows(done["import_id"], "&state=kept")}
        assert kept == {
            "B": ["Kept, because somebody has changed it since: price."],
            "NEW-2": ["Kept, because somebody has changed it since: name."],
        }

    def test_what_it_took_off_sale_is_said_when_the_file_comes_again(self, importing: Importing) -> None:
        done = importing.take(csv("sku,name,price", "A,A,2"))
        importing.undo(done["import_id"])
        (row,) = importing.rows(importing.read(csv("sku,name,price", "A,A,2"))["import_id"], "&outcome=warned")
        sentence = "The product is off sale, and stays so: a column is_active with TRUE puts it on sale."
        assert (row["outcome"], row["messages"]) == ("same", [sentence])
        prices = importing.read(csv("sku,price", "A,3"), kind="prices")
        assert prices["counts"] == {**prices["counts"], "changed": 1, "warned": 0}

    def test_a_price_goes_back_with_its_currency_or_stays(self, importing: Importing) -> None:
        importing.api.post("/v1/products", {"sku": "A", "name": "A", "price": "10", "currency": "EUR"})
        done = importing.take(csv("sku,price,currency", "A,12,USD"))
        importing.api.patch(f"/v1/products/{by_sku(importing)['A']['product_id']}", {"price": "13"})
        importing.undo(done["import_id"])
        found = by_sku(importing)["A"]
        assert (found["price"], found["currency"]) == ("13.00", "USD")
        [row] = importing.rows(done["import_id"], "&state=kept")
        assert row["messages"] == ["Kept, because somebody has changed it since: price, currency."]

    def test_what_cannot_go_back_is_said_to_stay(self, importing: Importing) -> None:
        importing.api.post("/v1/products", {"sku": "A", "name": "A", "price": "1", "barcode": "12345678"})
        done = importing.take(csv("sku,barcode", "A,87654321"))
        importing.api.post("/v1/products", {"sku": "B", "name": "B", "price": "1", "barcode": "12345678"})
        undone = importing.undo(done["import_id"])
        assert (undone["counts"]["undone"], undone["counts"]["kept"]) == (0, 1)
        assert by_sku(importing)["A"]["barcode"] == "87654321"

    def test_an_import_is_undone_once(self, importing: Importing) -> None:
        done = importing.take(csv("sku,name,price", "A,A,2"))
        importing.undo(done["import_id"])
        importing.api.patch(f"/v1/products/{by_sku(importing)['A']['product_id']}", {"is_active": True})
        assert importing.undo(done["import_id"])["status"] == "UNDONE"
        assert by_sku(importing)["A"]["is_active"] is True


@pytest.mark.parametrize(
    ("cell", "what"), [(True, "TRUE or FALSE here (TRUE)"), (date(2026, 1, 5), "a date or a time here (2026-01-05)")]
)
def test_what_is_no_text_in_a_workbook_is_no_sku(importing: Importing, cell: Any, what: str) -> None:
    read = importing.read(xlsx(["sku", "name", "price"], [cell, "A", 1], ["B", "B", 1]), name="f.xlsx")
    [refused] = importing.rows(read["import_id"], "&outcome=refused")
    assert refused["messages"] == [f"sku: The workbook has {what}, and not a code. Make the cell a text."]


def test_sheets_that_are_hidden_are_named(importing: Importing) -> None:
    book = load_workbook(io.BytesIO(xlsx(["Welcome", "here"], Stock=[["sku", "name", "price"], ["A", "A", 1]])))
    book["Stock"].sheet_state = "hidden"
    file = io.BytesIO()
    book.save(file)
    read = importing.read(file.getvalue())
    sentence = "Not read, because they are hidden: 'Stock'. Show them, and send the file again."
    assert (read["detected"]["sheet"], sentence in read["notes"]) == ("Sheet", True)
    book["Sheet"].delete_rows(1)
    book.save(file := io.BytesIO())
    assert importing.read(file.getvalue())["error"].endswith(sentence)
