"""Imports over HTTP: who may, what is refused, keys, rows as pages and as a file, and contexts that are elsewhere."""

from __future__ import annotations

from csv import reader
from io import StringIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from contexts.catalog.models import Import, ImportPiece, Product
from eci.imports import uploads
from tests.support.imports import Importing, csv, xlsx
from tests.support.people import staff

FILE = csv("sku,name,price", "A,A,1", ",B,1")


def test_the_same_key_begins_one_import(importing: Importing) -> None:
    first = importing.send(FILE, key="k")
    importing.work()
    again = importing.send(FILE, key="k")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert again.data["import_id"] == first.data["import_id"]
    assert again.data["status"] == "READY", "a 202 that is repeated says how things are now"
    assert importing.send(csv("sku", "B"), key="k").code == "idempotency_key_reused"
    assert Import.objects.count() == 1


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"kind": ["products", "prices"]}, "The form gives 'kind' twice."),
        (
            {"file": [SimpleUploadedFile("a.csv", FILE), SimpleUploadedFile("b.csv", FILE)]},
            "The form gives 'file' twice.",
        ),
        ({"options": '{"decimal": ",", "decimal": "."}'}, 'The body gives "decimal" twice in one object.'),
        ({"mapping": '{"a\\u0000": "sku"}'}, "Text must not contain NUL characters."),
        ({"mapping": "[" * 100_000}, "The body is nested too deeply."),
        ({"options": '{"header_row": NaN}'}, "options: Value must be valid JSON."),
    ],
)
def test_nothing_of_a_form_is_lost_without_a_word(importing: Importing, form: dict[str, Any], sentence: str) -> None:
    sent = {"kind": "products", "file": SimpleUploadedFile("file.csv", FILE)} | form
    refused = importing.api.client.post("/v1/imports", sent)
    assert (refused.status_code, refused.json()["error"]) == (400, sentence)
    assert ImportPiece.objects.count() == 0


def test_applying_with_a_key(importing: Importing) -> None:
    import_id = importing.read(FILE)["import_id"]
    path = f"/v1/imports/{import_id}/apply"
    assert importing.api.post(path, key="k").data["status"] == "APPLYING"
    importing.work()
    again = importing.api.post(path, key="k")
    assert (again.data["status"], again.headers["Idempotent-Replayed"]) == ("APPLIED", "true")
    assert importing.api.post(path).data["status"] == "APPLIED", "done already"
    assert Product.objects.count() == 1


def test_a_path_of_its_own_sets_the_kind(importing: Importing) -> None:
    assert importing.send(FILE, path="/v1/products/import").data["kind"] == "products"


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kind": "people"}, "kind: There is no kind 'people'."),
        ({"mapping": ["sku"]}, "mapping: A mapping is an object: column name: field."),
        ({"options": {"colour": "red"}}, "options: There is no option 'colour'."),
        ({"options": {"encoding": "latin-99"}}, "There is no such encoding."),
        *(
            ({"options": {"encoding": name}}, "There is no such encoding.")
            for name in ("unicode_escape", "UTF-7", "idna", "punycode", "rot13", "base64")
        ),
        ({"options": {"decimal": "x"}}, "is not a valid choice"),
        ({"options": {"delimiter": "word"}}, "A delimiter is one of comma, semicolon, tab, bar."),
        ({"options": {"currency": "XXX"}}, "There is no such currency."),
        ({"options": {"blank": "empty"}}, "A blank cell means leave or clear, for all fields or for each."),
        ({"options": {"blank": {"category": 1}}}, "A blank cell means leave or clear, for all fields or for each."),
        (
            {"options": {"blank": {"price": "clear"}}},
            "'price' cannot be cleared. Fields that can: description, category",
        ),
    ],
)
def test_what_cannot_be_meant_is_a_400(importing: Importing, given: dict[str, Any], sentence: str) -> None:
    refused = importing.send(FILE, **given)
    assert (refused.status, refused.code) == (400, "validation_error")
    assert sentence in refused.error
    assert ImportPiece.objects.count() == 0


@pytest.mark.any_engine
def test_a_file_is_needed(importing: Importing) -> None:
    response = importing.api.client.post("/v1/imports", {"kind": "products"})
    assert (response.status_code, response.json()["details"]) == (400, {"file": ["No file was submitted."]})
    assert importing.api.post("/v1/imports", {"kind": "products"}).status == 415


@pytest.mark.any_engine
def test_a_file_that_is_too_large(importing: Importing, monkeypatch: Any) -> None:
    monkeypatch.setattr(uploads, "LIMIT", 20)
    assert (importing.send(FILE).status, importing.send(FILE).code) == (413, "request_too_large")


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b"a~b\n1~2\n", "No column is called as one of products is: sku, name"),
        (b"sku,name\n" + b"A,\xff\xfe\n", "The file is not wholly in"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(importing: Importing, content: bytes, sentence: str) -> None:
    failed = importing.read(content, options={"encoding": "utf-8"} if b"\xff" in content else {})
    assert failed["status"] == "FAILED"
    assert sentence in failed["error"]
    assert importing.api.post(f"/v1/imports/{failed['import_id']}/apply").code == "invalid_transition"
    assert importing.api.post(f"/v1/imports/{failed['import_id']}/undo").code == "invalid_transition"


@pytest.mark.any_engine
def test_a_mapping_says_which_column_is_what(importing: Importing) -> None:
    content = csv("Code,Label,Cost", "A,Lamp,3")
    read = importing.read(content, mapping={"Code": "sku", "Label": "name", "Cost": "price"})
    assert (read["counts"]["new"], read["mapping"]) == (1, {"Code": "sku", "Label": "name", "Cost": "price"})
    failed = importing.read(content, mapping={"Kode": "sku"})
    assert failed["error"] == "The mapping names a column 'Kode' that the file does not have."
    asked = importing.read(csv("Code,name,price", "A,Lamp,3"))
    assert [(one["name"], one["choices"]) for one in asked["questions"] if one["needed"]] == [
        ("mapping", ["Code", "name", "price"])
    ]


@pytest.mark.any_engine
def test_a_header_below_a_title(importing: Importing) -> None:
    read = importing.read(csv("Price list 2026,,", ",,", "sku,name,price", "A,A,1"))
    assert (read["detected"]["header_row"], importing.outcomes(read["import_id"])) == (3, [(4, "new")])


def test_refused_rows_come_back_as_a_file_that_can_be_sent_again(importing: Importing) -> None:
    read = importing.read(csv("SKU,Name,Price,Note", "A,A,1,x", ',"B, big",1,y', "C,=1+1,cheap,z"))
    answer = importing.api.client.get(f"/v1/imports/{read['import_id']}/rows?outcome=refused&format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert content.decode().splitlines() == [
        "SKU,Name,Price,Note,line,why",
        ',"B, big",1,y,3,sku: This is blank.',
        "C,'=1+1,cheap,z,4,price: 'cheap' is not a price.",
    ]
    mended = content.replace(b"cheap", b"5")
    again = importing.rows(importing.read(mended)["import_id"])
    assert [(row["key"], row["outcome"]) for row in again] == [("", "refused"), ("C", "new")]
    assert again[1]["changes"]["name"] == [None, "=1+1"]


def as_file(importing: Importing, import_id: str, query: str = "&outcome=refused") -> list[list[str]]:
    """The cells of the rows, given back as a file."""
    answer = importing.api.client.get(f"/v1/imports/{import_id}/rows?format=csv{query}")
    return list(reader(StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]


@pytest.mark.any_engine
@pytest.mark.parametrize("applied", [False, True])
def test_each_refused_row_stands_as_it_stood(importing: Importing, applied: bool) -> None:
    rows = ["OK;c;1,50;red", "MD3;c;1,999;red", "MD5;;3,50;red ", "MD6;d;-3,50;red", "OK;e;2,50;blue"]
    import_id = importing.read(csv("sku;name;price;colour", *rows))["import_id"]
    if applied:
        assert importing.apply(import_id)["counts"]["refused"] == 4
    header, *lines = as_file(importing, import_id)
    assert header == ["sku", "name", "price", "colour", "line", "why"]
    assert [";".join(line[:4]) for line in lines] == rows[1:]
    assert all(line[5] for line in lines)


def test_what_is_refused_when_it_is_written_stands_as_it_stood_too(importing: Importing) -> None:
    import_id = importing.read(csv("barcode;sku;name;price;colour", "4006381333931;A;c;1,50;red"))["import_id"]
    importing.api.post("/v1/products", {"sku": "B", "name": "B", "price": "1", "barcode": "4006381333931"})
    assert importing.apply(import_id)["counts"]["refused"] == 1
    [_, line] = as_file(importing, import_id)
    assert line[:5] == ["4006381333931", "A", "c", "1,50", "red"]


def test_the_file_of_a_whole_outcome_has_one_decimal_sign(importing: Importing) -> None:
    rows = ["1E5;c;1,50", "B;d;1.003,50"]  # the first with a warning
    read = importing.read(csv("sku;name;price", *rows))
    assert (read["counts"]["new"], read["counts"]["warned"]) == (2, 1)
    assert [line[2] for line in as_file(importing, read["import_id"], "")[1:]] == ["1,50", "1003,50"]


@pytest.mark.any_engine
def test_a_refused_row_of_a_workbook_stands_as_a_text_file_has_it(importing: Importing) -> None:
    content = xlsx(
        ["sku", "name", "price", "weight"], ["A", "a", "1,50", 2], ["B", "", 2.5, 1.5], ["C", "", "cheap", 1]
    )
    import_id = importing.read(content, name="f.xlsx")["import_id"]
    lines = [line[:4] for line in as_file(importing, import_id)[1:]]
    assert lines == [["B", "", "2,5", "1.5"], ["C", "", "cheap", "1"]]


def test_a_cell_that_no_database_stores_stops_no_import(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price,x", "A,a,cheap,n\0l", "1E5,b,1,n\0l"), name="x.csv")
    assert (read["counts"]["refused"], read["counts"]["warned"]) == (1, 1)
    assert as_file(importing, read["import_id"])[1][3] == "n\ufffdl"


@pytest.mark.any_engine
def test_what_stands_beyond_the_header_is_not_lost_and_is_refused_again(importing: Importing) -> None:
    import_id = importing.read(csv("sku,name,price", "A,Lamp, red,5", "B,Rug,6"))["import_id"]
    found = as_file(importing, import_id)
    assert found[1][:3] == ["A", "Lamp", "red"] and found[1][5:] == ["5"]
    again = importing.read("\n".join(",".join(f'"{cell}"' for cell in line) for line in found).encode())
    assert as_file(importing, again["import_id"])[0] == found[0], "columns of ours do not come twice"
    assert again["counts"]["refused"] == 1


def test_no_cell_of_that_file_is_a_formula(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price,=1+1", "=A,A,1,x", "=A,B,2,y"))
    other = importing.api.get(f"/v1/imports/{read['import_id']}/rows?format=xlsx")
    assert (other.status, other.details) == (400, {"format": ["This is one of json, csv."]})
    answer = importing.api.client.get(f"/v1/imports/{read['import_id']}/rows?format=csv")
    content = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    cells = [cell for row in reader(StringIO(content)) for cell in row]
    assert "'=1+1" in cells and any("stands on line 2" in cell for cell in cells)
    assert [cell for cell in cells if cell.startswith("=")] == []


@pytest.mark.any_engine
@pytest.mark.parametrize("locations", ["x", {"A": 5}, ["A"], None])
def test_places_are_an_object_of_texts(importing: Importing, locations: Any) -> None:
    refused = importing.send(FILE, kind="receipts", options={"locations": locations})
    assert (refused.status, refused.error) == (400, "options: locations is an object of texts.")


def test_rows_come_in_pages(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price", *(f"S{n},N,1" for n in range(5))))
    page = importing.api.get(f"/v1/imports/{read['import_id']}/rows?limit=2&outcome=new")
    assert [row["line"] for row in page.data] == [2, 3]
    following = importing.api.get(page.json["meta"]["next"])
    assert [row["line"] for row in following.data] == [4, 5]
    assert importing.api.get(f"/v1/imports/{read['import_id']}/rows?outcome=odd").status == 400


@pytest.mark.parametrize(
    "import_id", ["7", "catalog-", "catalog-x", "catalog-999", "nobody-1", "catalog-99999999999999999999"]
)
def test_an_unknown_import_is_a_404(importing: Importing, import_id: str) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("GET", "/rows"), ("POST", "/apply"), ("POST", "/undo")):
        answer = importing.api.send(method, f"/v1/imports/{import_id}{path}", None if method == "GET" else {})
        assert (answer.status, answer.code) == (404, "not_found")


def test_only_who_may_write_products_imports_them(importing: Importing, closed: None) -> None:
    for role, status in (("K", 202), ("S", 403), ("P", 403), ("admin", 202)):
        person = staff(role)
        form = {"kind": "products", "file": SimpleUploadedFile("a.csv", FILE)}
        headers = {"Authorization": f"Bearer {person.login['access']}"}
        sent = person.client.post("/v1/imports", form, headers=headers)
        assert sent.status_code == status, role
        if status == 202:
            mine = sent.json()["data"]["import_id"]
        seen = person.client.get(f"/v1/imports/{mine}", headers=headers)
        assert seen.status_code == (200 if status == 202 else 403)


def test_what_another_process_has_is_redirected_to_the_path_that_leads_there(
    importing: Importing, settings: Any
) -> None:
    settings.ECI_IMPORTS = settings.ECI_IMPORTS | {"stars": "astronomy"}
    sent = importing.send(FILE, kind="stars")
    assert (sent.status, sent.headers["Location"]) == (307, "/api/v1/astronomy/v1/imports")
    seen = importing.api.client.get("/v1/imports/astronomy-3/rows?limit=5")
    assert (seen.status_code, seen.headers["Location"]) == (
        307,
        "/api/v1/astronomy/v1/imports/astronomy-3/rows?limit=5",
    )


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("header", "mapping"),
    [
        ("Artikelnummer;Bezeichnung;Preis;Kategorie", ["sku", "name", "price", "category"]),
        ("Référence;Désignation;Prix TTC;CATÉGORIE", ["sku", "name", "price", "category"]),
        ("Código;Nombre;Precio;Categoría", ["sku", "name", "price", "category"]),
        ("Codice articolo;Nome;Prezzo;Categoria", ["sku", "name", "price", "category"]),
        ("Artikelnummer;Naam;Prijs;Categorie", ["sku", "name", "price", "category"]),
        ("Kod produktu;Nazwa;Cena;Kategoria", ["sku", "name", "price", "category"]),
        ("Cikkszám;Megnevezés;Ár;Kategória", ["sku", "name", "price", "category"]),
    ],
)
def test_columns_are_known_in_other_languages(importing: Importing, header: str, mapping: list[str]) -> None:
    read = importing.read(csv(header, "A;Lamp;1,50;Light"))
    assert (list(read["mapping"].values()), read["counts"]["new"]) == (mapping, 1)


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("kind", "header", "field"),
    [
        *(
            ("products", "Koodi,name,price", "sku"),
            ("prices", "sku,Hinta", "price"),
            ("receipts", "sku,Määrä", "quantity"),
        ),
        *(
            ("stock_counts", "sku,Saldo", "onhand"),
            ("stock_counts", "Koodi,WH1", "sku"),
            ("customers", "name,Osoite", "email"),
        ),
        ("customers", "Vorname,Nachname", "email"),
    ],
)
def test_a_column_without_which_a_file_says_nothing_is_asked(
    importing: Importing, kind: str, header: str, field: str
) -> None:
    importing.api.post("/v1/warehouses", {"code": "WH1", "name": "Main"})
    read = importing.read(csv(header, "A,1,1"), kind=kind)
    [asked] = [one for one in read["questions"] if one["needed"] and one["answer"] is None]
    assert (asked["name"], asked["question"].partition("?")[0]) == ("mapping", f"Which column is {field}")
    assert importing.api.post(f"/v1/imports/{read['import_id']}/apply").code == "questions_open"


@pytest.mark.any_engine
def test_what_would_write_nothing_can_be_mapped_again_and_not_applied(importing: Importing) -> None:
    import_id = importing.read(csv("sku,name,price,Hinta", "A,A,,1", "B,B,,2"))["import_id"]
    answer = importing.api.post(f"/v1/imports/{import_id}/apply")
    assert (answer.status, answer.code) == (409, "nothing_to_apply")
    assert importing.api.patch(f"/v1/imports/{import_id}", {"mapping": {"Hinta": "price"}}).status == 202
    importing.work()
    assert importing.seen(import_id)["counts"]["new"] == 2
    assert importing.apply(import_id)["status"] == "APPLIED"


@pytest.mark.any_engine
def test_of_two_columns_with_one_name_one_is_chosen(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price,Price,price", "A,A,1,2,3"))
    [asked] = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], asked["choices"]) == ("price", ["price", "Price", "price (2)"])
    answered = importing.answer(read["import_id"], price="price (2)")
    [row] = importing.rows(answered["import_id"])
    assert row["changes"]["price"][1].startswith("3.00")
    assert as_file(importing, read["import_id"], "")[0][:5] == ["sku", "name", "price", "Price", "price"]
    read = importing.read(csv("sku,name,name,price", "B,B,b,1"))
    [asked] = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], asked["choices"]) == ("mapping", ["name", "name (2)"])
    importing.api.patch(f"/v1/imports/{read['import_id']}", {"mapping": {"name": None}})
    importing.work()
    [row] = importing.rows(read["import_id"])
    assert row["changes"]["name"] == [None, "b"]


@pytest.mark.any_engine
def test_an_answer_that_is_none_is_a_400(importing: Importing) -> None:
    content = csv("sku,name,price,sale price", "A,A,1,2")
    read = importing.read(content)
    path = f"/v1/imports/{read['import_id']}"
    refused = importing.api.patch(path, {"options": {"price": "nope"}})
    assert (refused.status, refused.error) == (
        400,
        "options: price is no column 'nope'. Columns: sku, name, price, sale price.",
    )
    importing.api.patch(path, {"options": {"price": "name"}})
    importing.work()
    failed = importing.seen(read["import_id"])
    assert (failed["status"], failed["error"]) == (
        "FAILED",
        "options: price is no column 'name'. Columns: price, sale price.",
    )
    refused = importing.api.patch(path, {"kind": "prices"})
    assert (refused.status, refused.error) == (
        400,
        "kind: This import stays one of products. Send the file again for another kind.",
    )
    assert "There is no option 'name'." in importing.api.patch(path, {"options": {"name": "name"}}).error
    twice = {"price": "price", "sale price": "price"}
    for refused in (importing.api.patch(path, {"mapping": twice}), importing.send(content, mapping=twice)):
        assert (refused.status, refused.error) == (
            400,
            "mapping: price is one column, and not several: 'price', 'sale price'.",
        )
    assert importing.send(content, mapping={"name": "colour"}).status == 400
    failed = importing.read(content, options={"price": "nope"})
    assert (failed["status"], failed["error"]) == (
        "FAILED",
        "options: price is no column 'nope'. Columns: price, sale price.",
    )
    assert importing.answer(failed["import_id"], price="price")["counts"]["new"] == 1


@pytest.mark.any_engine
def test_a_mapping_is_believed_and_the_last_one_counts(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price,sale price", "A,A,1,2"), mapping={"price": "price"})
    importing.api.patch(f"/v1/imports/{read['import_id']}", {"mapping": {"sale price": "price"}})
    importing.work()
    [row] = importing.rows(read["import_id"])
    assert row["changes"]["price"][1].startswith("2.00")
