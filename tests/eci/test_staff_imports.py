"""Staff's pages of imports: one sends a file, answers, looks, applies and undoes, each once."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from config.staff.groups import make_groups
from contexts.catalog.models import Import, Product, Trail
from eci.staff_imports import ANSWERED_FIRST, SHOWN, UNSURE
from tests.support.imports import Importing, csv
from tests.support.pages import Form, forms_in

ADD = "/admin/catalog/import/add/"


@pytest.fixture
def editor() -> Client:
    return member_of("catalog staff")


def member_of(group: str) -> Client:
    make_groups()
    name = group.partition(" ")[0]
    user = get_user_model().objects.create_user(name, f"{name}@example.com", "secret-123", is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer
    return html.unescape(answer.content.decode())


def begun(client: Client, content: bytes, *, name: str = "lamps.csv", form: Form | None = None) -> str:
    """The address of the import's page."""
    shown = form or next(one for one in forms_in(page(client, ADD)) if "_form_key" in one.fields)
    sent = client.post(ADD, shown.fields | {"kind": "products", "file": SimpleUploadedFile(name, content)})
    assert sent.status_code == 302, html.unescape(sent.content.decode())[-3000:]
    return str(sent["Location"])


def do(client: Client, url: str, button: str, **typed: Any) -> str:
    [form] = [one for one in forms_in(page(client, url)) if button in one.buttons.get("_do", [])]
    answer = client.post(url, form.fields | typed | {"_do": button}, follow=True)
    return html.unescape(answer.content.decode())


def visible(text: str) -> str:
    return re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", text, flags=re.DOTALL)


def rows(text: str) -> list[list[str]]:
    found = re.findall(r"<tr><td>(.*?)</tr>", text, re.DOTALL)
    return [
        [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.split(r"</td>\s*<td>", row)] for row in found
    ]


def test_a_file_is_read_looked_at_applied_and_undone(editor: Client, importing: Importing) -> None:
    importing.api.post("/v1/products", {"sku": "A", "name": "Old", "price": "1"})
    url = begun(editor, csv("sku,name,price", "A,New,1", "B,Lamp,2", "C,,x"))
    assert "looks again" in page(editor, url) and "0 of" in page(editor, url)
    importing.work()
    wrong = rows(page(editor, url))
    assert [row[:3] for row in wrong] == [["4", "C", "refused"]], "what went wrong comes first"
    [changed] = rows(page(editor, url + "?outcome=changed"))
    assert changed[:4] == ["2", "A", "changed", "name: Old → New"]
    assert Product.objects.get().name == "Old", "looking changes nothing"
    assert "This writes 1 new, 1 changed; 1 refused rows stay out." in page(editor, url)
    do(editor, url, "apply", _sure="on")
    importing.work()
    assert sorted(Product.objects.values_list("sku", "name")) == [("A", "New"), ("B", "Lamp")]
    importing.api.patch(f"/v1/products/{Product.objects.get(sku='A').pk}", {"name": "Mine"})
    do(editor, url, "undo", _sure="on")
    importing.work()
    assert Product.objects.get(sku="A").name == "Mine"
    [kept] = rows(page(editor, url + "?state=kept"))
    assert "somebody has changed it since: name" in kept[4]
    listed = page(editor, "/admin/catalog/import/")
    assert "lamps.csv" in listed and "UNDONE" in listed and "staff:catalog" in listed
    told = Trail.objects.filter(thing__startswith="import:").order_by("pk").values_list("actor", "action")
    assert list(told) == [("staff:catalog", "let apply"), ("staff:catalog", "let undo")]


@pytest.mark.any_engine
def test_questions_are_asked_and_columns_can_be_given(editor: Client, importing: Importing) -> None:
    url = begun(editor, csv("token;what;price", "A;Lamp;1.299"))
    importing.work()
    shown = page(editor, url)
    assert "Which is the decimal sign?" in shown and "Which column is sku?" in shown
    assert "can be applied once what it cannot say is answered" in shown and "Yes, do this" not in shown
    assert not [word for word in ("PATCH", "in the mapping", "in options", "{&quot;", '{"') if word in visible(shown)]
    do(editor, url, "answer", **{"option-decimal": ",", "column-0": "sku", "column-1": "name"})
    importing.work()
    do(editor, url, "apply", _sure="on")
    importing.work()
    assert list(Product.objects.values_list("sku", "name", "price_minor")) == [("A", "Lamp", 129900)]


@pytest.mark.any_engine
def test_an_encoding_can_be_said_when_the_file_was_not_in_the_one_that_was_said(
    editor: Client, importing: Importing
) -> None:
    url = begun(editor, "sku;name;price\nU5;Fööß;3,00\n".encode("cp850"))
    importing.work()
    do(editor, url, "answer", **{"option-encoding": "cp932"})
    importing.work()
    assert "FAILED" in page(editor, url)
    do(editor, url, "answer", **{"option-encoding": "cp850"})
    importing.work()
    assert rows(page(editor, url))[0][1:3] == ["U5", "new"]


def test_what_would_write_nothing_has_no_button_and_says_why(editor: Client, importing: Importing) -> None:
    url = begun(editor, csv("sku,name,price,Hinta", "A,Lamp,,1"))
    importing.work()
    shown = page(editor, url)
    assert "No row of this file can be written." in shown and "Yes, do this" not in shown
    do(editor, url, "answer", **{"column-3": "price"})
    importing.work()
    do(editor, url, "apply", _sure="on")
    importing.work()
    assert Product.objects.count() == 1


@pytest.mark.any_engine
def test_answers_that_are_not_saved_are_taken_before_it_is_applied(editor: Client, importing: Importing) -> None:
    importing.api.post("/v1/products", {"sku": "A", "name": "Lamp", "price": "1", "category": "Home"})
    url = begun(editor, csv("sku,name,price,category", "A,Lamp,1,"))
    importing.work()
    told = do(editor, url, "apply", _sure="on", **{"option-blank": "clear"})
    assert ANSWERED_FIRST in told
    importing.work()
    assert (Product.objects.get().category, Import.objects.get().status) == ("Home", "READY")
    do(editor, url, "apply", _sure="on")
    importing.work()
    assert Product.objects.get().category == ""


@pytest.mark.any_engine
def test_answers_that_are_refused_are_still_there(editor: Client, importing: Importing) -> None:
    url = begun(editor, csv("sku,name,price,Hinta", "A,Lamp,1,2"))
    importing.work()
    shown = do(editor, url, "answer", **{"column-2": "name", "column-3": "name", "option-header_row": "1"})
    assert "name is one column, and not several" in shown
    [form] = [one for one in forms_in(shown) if "answer" in one.buttons.get("_do", [])]
    assert (form.fields["column-2"], form.fields["column-3"]) == ("name", "name")
    importing.work()
    assert not Product.objects.exists()


@pytest.mark.any_engine
def test_nothing_is_applied_without_a_tick(editor: Client, importing: Importing) -> None:
    url = begun(editor, csv("sku,name,price", "A,Lamp,1"))
    importing.work()
    assert UNSURE in do(editor, url, "apply")
    importing.work()
    assert not Product.objects.exists()


def test_a_form_sent_twice_has_one_effect(editor: Client, importing: Importing) -> None:
    form = next(one for one in forms_in(page(editor, ADD)) if "_form_key" in one.fields)
    first = begun(editor, csv("sku,name,price", "A,Lamp,1"), form=form)
    assert begun(editor, csv("sku,name,price", "B,Rug,1"), form=form) == first
    assert Import.objects.count() == 1
    assert "had been sent before" in page(editor, first)
    importing.work()
    [form] = [one for one in forms_in(page(editor, first)) if "apply" in one.buttons.get("_do", [])]
    sent = form.fields | {"_do": "apply", "_sure": "on"}
    editor.post(first, sent)
    importing.work()
    editor.post(first, sent)
    assert "had been sent before" in page(editor, first)
    assert Import.objects.get().status == "APPLIED"


@pytest.mark.any_engine
def test_what_is_wrong_with_a_form_is_said(editor: Client) -> None:
    form = next(one for one in forms_in(page(editor, ADD)) if "_form_key" in one.fields)
    empty = editor.post(ADD, form.fields | {"kind": "products"})
    assert "This field is required." in empty.content.decode()
    other = editor.post(ADD, form.fields | {"kind": "customers", "file": SimpleUploadedFile("a.csv", b"x")})
    assert "is not one of the available choices" in other.content.decode()
    keyless = editor.post(ADD, {"kind": "products", "file": SimpleUploadedFile("a.csv", b"x")})
    assert "Nothing was done" in keyless.content.decode()
    assert not Import.objects.exists()
    gone = editor.get("/admin/catalog/import/999/change/", follow=True)
    assert "There is no import 999." in gone.content.decode()


def test_pages_are_for_those_who_may_import_such_files(importing: Importing) -> None:
    read = importing.read(csv("sku,name,price", "A,Lamp,1"))
    number = read["import_id"].rpartition("-")[2]
    stock = member_of("stock staff")
    for path in (ADD, f"/admin/catalog/import/{number}/change/", "/admin/catalog/import/"):
        assert stock.get(path).status_code == 403, path
    assert stock.get("/admin/inventory/import/add/").status_code == 200
    offered = forms_in(stock.get("/admin/inventory/import/add/").content.decode())
    assert next(one for one in offered if "kind" in one.choices).choices["kind"] == ["stock_counts", "receipts"]


def test_long_files_have_pages_and_the_same_statements(editor: Client, importing: Importing, statements: Any) -> None:
    def counted(lines: int) -> tuple[str, int]:
        url = begun(editor, csv("sku,name,price", *(f"S{lines}-{number},L,1" for number in range(lines))))
        importing.work()
        page(editor, url)
        with statements() as seen:
            page(editor, url)
        return url, len(seen.log)

    _, few = counted(3)
    url, many = counted(SHOWN + 3)
    assert few == many
    first = page(editor, url)
    [following] = re.findall(r'href="(\?[^"]*after=\d+)"', first)
    assert (len(rows(first)), len(rows(page(editor, url + following)))) == (SHOWN, 3)


@pytest.mark.any_engine
def test_what_is_written_in_a_file_stays_text(editor: Client, importing: Importing) -> None:
    url = begun(editor, csv("sku,name,price,<em>", "A,<em>x</em>,1,2"), name="<em>.csv")
    importing.work()
    assert "<em" not in editor.get(url).content.decode()
    assert "<em" not in editor.get("/admin/catalog/import/").content.decode()
