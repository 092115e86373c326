"""What staff's forms carry, and what the second of two writers is told; what addresses and forms cannot mean."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import path

from contexts.catalog import services
from contexts.catalog.models import Idempotency, Product
from eci import money, staff
from eci.staff import StaffAdmin
from eci.staff_forms import new_key
from tests.support.pages import Form, form_in

pytestmark = pytest.mark.urls(__name__)


class GoodsForm(forms.ModelForm):
    price = forms.DecimalField()

    class Meta:
        model = Product
        fields = ("sku", "name", "category", "description", "price", "currency", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["price"] = money.from_minor(self.instance.price_minor, self.instance.currency)


class GoodsAdmin(StaffAdmin):
    """An admin as the contexts have them: what the person changed goes through a service, once."""

    form = GoodsForm
    list_filter = ("is_active", "created_at", "category")
    search_fields = ("sku", "name")
    search_folded = ("name_key",)
    actions = ("deactivate",)

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        def update() -> None:
            services.update_product(
                product_id=obj.pk, actor="staff:ann", version=self.seen_version(request), **self.changes(form)
            )

        def create() -> int:
            return int(services.create_product(actor="staff:ann", **form.cleaned_data)["id"])

        done = self.once(request, "catalog", "save_product", update if change else create)
        obj.pk = obj.pk if change else done

    @admin.action(description="Deactivate")
    def deactivate(self, request: Any, queryset: Any) -> None:
        services.deactivate_products(product_ids=[row.pk for row in queryset], actor="staff:ann")


site = admin.AdminSite("admin")
site.register(Product, GoodsAdmin)
urlpatterns = [path("admin/", site.urls)]
LIST = "/admin/catalog/product/"


def browser(name: str) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser(name, f"{name}@example.com", "secret-123"))
    return client


@pytest.fixture
def ann() -> Client:
    return browser("ann")


@pytest.fixture
def bob() -> Client:
    return browser("bob")


@pytest.fixture
def product_id() -> int:
    row = services.create_product(actor="test", sku="A", name="Lamp", price=Decimal("5"), description="one\ntwo")
    return int(row["id"])


def opened(client: Client, url: str) -> Form:
    return form_in(client.get(url).content.decode(), having="_form_key")


def send(client: Client, url: str, form: Form, **typed: Any) -> Any:
    return client.post(url, form.fields | typed)


def words(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def product() -> Any:
    return Product.objects.get(sku="A")


# -- two writers ------------------------------------------------------------------------------------------------------


def test_the_second_writer_is_told_field_by_field_and_nothing_is_lost(
    ann: Client, bob: Client, product_id: int
) -> None:
    url = f"{LIST}{product_id}/change/"
    anns, bobs = opened(ann, url), opened(bob, url)
    assert send(ann, url, anns, price="7.00", name="Lamp of Ann").status_code == 302
    told = send(bob, url, bobs, name="Lamp of Bob")
    assert told.status_code == 200
    assert (product().name, product().price_minor) == ("Lamp of Ann", 700)
    page = told.content.decode()
    assert "Somebody else has changed this meanwhile" in page
    rows = {one.label: (one.theirs, one.yours, one.take) for one in told.context["differences"]}
    assert rows == {"Name": ("Lamp of Ann", "Lamp of Bob", "yours"), "Price": ("7.00", "5.00", "theirs")}
    again = form_in(page, having="_form_key")
    assert (again.fields["name"], again.fields["price"]) == ("Lamp of Bob", "7.00")
    assert send(bob, url, again).status_code == 302
    assert (product().name, product().price_minor, product().description) == ("Lamp of Bob", 700, "one\ntwo")


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("take", "name", "minor", "active"),
    [
        ({"_take-name": "theirs"}, "Lamp of Ann", 700, False),
        ({"_take-price": "yours", "_take-is_active": "yours"}, "Lamp of Bob", 500, True),
        ({"_take-name": "nonsense"}, "Lamp of Bob", 700, False),
    ],
)
def test_theirs_or_yours_is_taken(
    ann: Client, bob: Client, product_id: int, take: dict[str, str], name: str, minor: int, active: bool
) -> None:
    url = f"{LIST}{product_id}/change/"
    anns, bobs = opened(ann, url), opened(bob, url)
    anns.fields.pop("is_active")
    assert send(ann, url, anns, price="7.00", name="Lamp of Ann").status_code == 302
    again = form_in(send(bob, url, bobs, name="Lamp of Bob").content.decode(), having="_form_key")
    assert send(bob, url, again, **take).status_code == 302
    assert (product().name, product().price_minor, product().is_active) == (name, minor, active)


def test_a_third_writer_is_told_too(ann: Client, bob: Client, product_id: int) -> None:
    url = f"{LIST}{product_id}/change/"
    anns, bobs = opened(ann, url), opened(bob, url)
    send(ann, url, anns, name="1")
    again = form_in(send(bob, url, bobs, name="2").content.decode(), having="_form_key")
    send(ann, url, opened(ann, url), category="Home")
    told = send(bob, url, again)
    assert told.status_code == 200
    assert [one.label for one in told.context["differences"]] == ["Name", "Category"]


@pytest.mark.any_engine
def test_what_a_mistake_shows_again_is_still_what_was_seen(ann: Client, bob: Client, product_id: int) -> None:
    url = f"{LIST}{product_id}/change/"
    bobs = opened(bob, url)
    mistaken = send(bob, url, bobs, name="")
    send(ann, url, opened(ann, url), price="9.00")
    told = send(bob, url, form_in(mistaken.content.decode(), having="_form_key"), name="Lamp of Bob")
    assert [one.label for one in told.context["differences"]] == ["Name", "Price"]
    assert product().price_minor == 900


def test_an_untouched_form_writes_nothing(ann: Client, product_id: int) -> None:
    url = f"{LIST}{product_id}/change/"
    assert opened(ann, url).fields["_version"] == "1"
    assert send(ann, url, opened(ann, url)).status_code == 302
    assert (product().version, product().description) == (1, "one\ntwo")


@pytest.mark.any_engine
def test_a_damaged_version_is_told(ann: Client, product_id: int) -> None:
    url = f"{LIST}{product_id}/change/"
    for version in ("x", "-1", "1" * 30, "\x00"):
        assert send(ann, url, opened(ann, url), name="B", _version=version).status_code == 200
    assert product().name == "Lamp"


# -- sent twice -------------------------------------------------------------------------------------------------------


def test_a_repeated_form_has_one_effect_and_says_so(ann: Client, product_id: int) -> None:
    new = opened(ann, f"{LIST}add/")
    typed = {"sku": "B", "name": "B", "price": "1", "currency": "USD", "_continue": "1"}
    first, second = (send(ann, f"{LIST}add/", new, **typed) for _ in range(2))
    assert (first.status_code, second.status_code) == (302, 302)
    assert first["Location"] == second["Location"]
    assert words(second)[-1].startswith("This form had been sent before")
    assert Product.objects.filter(sku="B").count() == 1
    url = f"{LIST}{product_id}/change/"
    form = opened(ann, url)
    first, second = (send(ann, url, form, name="Twice") for _ in range(2))
    assert first["Location"] == second["Location"]
    assert (product().name, product().version) == ("Twice", 2)
    third = send(ann, url, form, name="Corrected after going back")
    assert words(third)[-1].startswith("This form had been sent before")
    assert (product().name, LogEntry.objects.count()) == ("Twice", 2)


def test_a_refused_form_may_be_sent_again(ann: Client, product_id: int) -> None:
    url = f"{LIST}{product_id}/change/"
    form = opened(ann, url)
    refused = send(ann, url, form, price="1.999")
    assert refused.status_code == 200
    assert not Idempotency.objects.exists()
    again = form_in(refused.content.decode(), having="_form_key")
    assert again.fields["_form_key"] == form.fields["_form_key"]
    assert send(ann, url, again, price="2").status_code == 302
    assert product().price_minor == 200


@pytest.mark.any_engine
def test_keys_are_each_persons_own_and_checked(ann: Client, bob: Client, product_id: int) -> None:
    url = f"{LIST}{product_id}/change/"
    key = new_key(url)
    assert send(ann, url, opened(ann, url) | {"_form_key": key}, name="1").status_code == 302
    assert send(bob, url, opened(bob, url) | {"_form_key": key}, name="2").status_code == 302
    assert product().name == "2"
    for key in ("", "k", "x" * 65, "a\x00b", "a\nb", "ä" * 64, new_key(LIST)):
        told = send(ann, url, opened(ann, url) | {"_form_key": key}, name="3")
        assert "This form is damaged, or it was made for another page." in told.content.decode()
        assert product().name == "2"
        again = form_in(told.content.decode(), having="_form_key")
        assert again.fields["name"] == "3", "what was typed stays"
    assert send(ann, url, again).status_code == 302
    assert product().name == "3"


def test_what_writes_says_which_version_its_page_showed(ann: Client, product_id: int) -> None:
    """Of a form that lost its hidden fields, nothing is carried out before its person has seen what there is."""
    url = f"{LIST}{product_id}/change/"
    old = {name: value for name, value in opened(ann, url).fields.items() if not name.startswith(("_v", "initial-"))}
    services.update_product(product_id=product_id, actor="test", price=Decimal("6.60"))
    told = ann.post(url, old | {"name": "Mine"})
    assert (product().name, product().price_minor) == ("Lamp", 660)
    assert {one.name: one.theirs for one in told.context["differences"]} == {"name": "Lamp", "price": "6.60"}
    assert send(ann, url, form_in(told.content.decode(), having="_form_key"), **{"_take-price": "theirs"})
    assert (product().name, product().price_minor) == ("Mine", 660)
    chosen = {"action": "deactivate", "_selected_action": str(product_id)}
    assert ann.post(LIST, chosen).status_code == 302
    assert product().is_active, "an action has a key too"


# -- what people can send ---------------------------------------------------------------------------------------------

QUERIES = [
    "created_at__year=999999999999", "created_at__year=x", "created_at__year=0", "id__in=x", "id__in=" + "9" * 50,
    "id__exact=" + "9" * 50, "id__gt=" + "9" * 5000, "e=1", "e=1&id__in=x", "o=999", "o=-", "o=1.x.-2", "p=99999999",
    "p=-1", "p=x", "p=" + "9" * 5000, "_facets", "_facets=1&created_at__year=x", "all=", "created_at__gte=2024-13-45",
    "created_at__gte=", "created_at__isnull=2", "created_at__range=1", "sku__regex=(", "name__iregex=*", "nothing=1",
    "password__startswith=a", "id__nothing=1", "_popup=x", "_popup=1&_to_field=nothing", "_to_field=name", "q=%00",
    "q=%FF%FE", "%FF=%FE", "q=" + "a+" * 2000, "q=" + "a" * 60_000, "name=%00", "sku__contains=%00", "is_active=x",
    "is_active__exact=7", "category__in=%ED%A0%80", "_changelist_filters=%FF", "id__in=", "pk=x",
    "price_minor__lt=1e999", "name__length=1", "created_at__date=x", "is_active__exact=1&is_active__exact=0",
    "q=M%C3%9CLLER",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
def test_no_address_of_a_list_breaks_it(ann: Client, product_id: int, query: str) -> None:
    answer = ann.get(f"{LIST}?{query}", follow=True)
    assert answer.status_code in (200, 400)
    assert "database installation" not in answer.content.decode()
    if answer.redirect_chain:
        assert answer.redirect_chain[-1][0] == LIST
        assert "This list cannot be" in answer.content.decode()


@pytest.mark.parametrize("pk", ["x", "", "9" * 50, "9" * 5000, "-1", "1.5", "\x00", "\ufffd", "1,2", "None"])
def test_no_row_number_breaks_a_page(ann: Client, product_id: int, pk: str) -> None:
    chosen = {"action": "deactivate", "_selected_action": pk}
    answer = ann.post(LIST, chosen)
    assert answer.status_code in (200, 302)
    assert product().is_active
    for page in ("change", "delete", "history"):
        answer = ann.get(f"{LIST}{pk or 'x'}/{page}/".replace("\x00", "%00"))
        assert answer.status_code in (302, 404), page


@pytest.mark.parametrize(
    "query", ["price=x", "name=%00", "is_active=x&currency=%FF", "_popup=1", "_to_field=id", "sku=" + "x" * 999]
)
def test_no_address_of_a_form_breaks_it(ann: Client, query: str) -> None:
    assert ann.get(f"{LIST}add/?{query}").status_code == 200


@pytest.mark.parametrize(
    "data", [{"action": "x"}, {"index": "x"}, {"action": "deactivate", "index": "9"}, {"select_across": "x"}]
)
def test_no_action_breaks_a_list(ann: Client, product_id: int, data: dict[str, str]) -> None:
    assert ann.post(LIST, data | {"_selected_action": str(product_id)}).status_code in (200, 302)


def test_a_search_folds_letters_as_the_api_does(ann: Client) -> None:
    services.create_product(actor="test", sku="M", name="Tasse von Müller", price=Decimal("5"))
    for term, found in (("MÜLLER", 1), ("MU\u0308LLER tasse", 1), ("müller X", 0), ("m", 1), ("", 1)):
        assert ann.get(LIST, {"q": term}).context["cl"].result_count == found, term


def test_a_long_list_is_neither_counted_nor_searched_to_its_end(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff, "COUNTED", 3)
    monkeypatch.setattr(staff, "SEARCHED", 3)
    monkeypatch.setattr(GoodsAdmin, "list_per_page", 2)
    for number in range(5):
        services.create_product(actor="test", sku=f"CUP-{number}", name="Cup", price=Decimal("5"))
    page = ann.get(LIST)
    assert page.context["cl"].result_count == 3 and "more than 3 products" in page.content.decode()
    assert "across all pages" not in page.content.decode(), "nobody knows how many that were"
    few = ann.get(LIST, {"q": "cup-4"}).content.decode()
    assert "1 product" in few and "more than" not in few
    monkeypatch.setattr(GoodsAdmin, "grows", True)
    old = ann.get(LIST, {"q": "cup-1"})
    assert old.context["cl"].result_count == 0, "a part of an old one"
    page = old.content.decode()
    assert "so parts of names were looked for, among the newest 3." in page
    assert ann.get(LIST, {"q": "cup-2"}).context["cl"].result_count == 1, "of one of the newest"
    monkeypatch.setattr(GoodsAdmin, "search_whole", ("sku", "id"))
    assert ann.get(LIST, {"q": "cup-1"}).context["cl"].result_count == 1, "the whole name of an old one, in any case"
    for term in ("#1", "9" * 30, "²"):
        assert ann.get(LIST, {"q": term}).status_code == 200, term


def test_a_filter_has_the_values_of_the_newest_rows(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff, "SEARCHED", 2)
    for number, category in enumerate(("Old", "Garden", "Kitchen")):
        services.create_product(actor="test", sku=f"{number}", name="x", price=Decimal("5"), category=category)

    def offered(query: str = "") -> list[str]:
        [told] = [one for one in ann.get(f"{LIST}{query}").context["cl"].filter_specs if one.title == "category"]
        return [str(value) for value in told.lookup_choices]

    assert offered() == ["Garden", "Kitchen"]
    assert offered("?category=Old") == ["Garden", "Kitchen", "Old"], "and what is asked for"
    assert ann.get(f"{LIST}?category=Old").context["cl"].result_count == 1
    assert ann.get(f"{LIST}?_facets=True").status_code == 200


def test_a_row_leads_back_to_the_list_it_was_found_in(ann: Client) -> None:
    services.create_product(actor="test", sku="A B", name="a b", price=Decimal("5"))
    found = f"{LIST}?q=a+b&is_active__exact=1"
    [link] = re.findall(r'<a href="([^"]*/change/[^"]*)"', ann.get(found).content.decode())
    form = form_in(ann.get(unescape(link)).content.decode(), having="sku")
    assert ann.post(unescape(link), form.fields | {"name": "c"})["Location"] == found


@pytest.mark.any_engine
def test_no_page_of_staff_has_a_script_of_its_own(ann: Client, bob: Client, product_id: int) -> None:
    url = f"{LIST}{product_id}/change/"
    anns, bobs = opened(ann, url), opened(bob, url)
    send(ann, url, anns, name="1")
    page = send(bob, url, bobs, name="2").content.decode()
    assert "<script>" not in page.split("<form", 1)[1]
    assert "onclick" not in page
