"""The list of products as a price desk: edited in its rows, many at once, undone for an hour, filtered with counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from contexts.catalog import services
from contexts.catalog.domain import repriced
from contexts.catalog.models import BulkChange, PriceChange, Product, Trail
from tests.support import people
from tests.support.pages import Form, form_in
from tests.support.statements import Counted

URL = "/admin/catalog/product/"


@pytest.fixture
def ann() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("ann", "ann@example.com", "secret-123"))
    return client


def make(*skus: str, price: str = "5", **more: Any) -> list[int]:
    return [
        int(services.create_product(actor="test", sku=sku, name=sku, price=Decimal(price), **more)["id"])
        for sku in skus
    ]


def prices() -> dict[str, int]:
    return dict(Product.objects.values_list("sku", "price_minor"))


def listed(client: Client, url: str = URL) -> Form:
    return form_in(client.get(url).content.decode(), having="_form_key")


def told(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def typed(form: Form, **values: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in (form.fields | values | {"save_rows": "yes"}).items()
        if value is not None and name not in ("action", "_save")
    }


class TestTheRows:
    def test_write_what_was_changed_and_go_on_to_the_next(self, ann: Client) -> None:
        a, b, c = make("A", "B", "C")
        form = listed(ann)
        answer = ann.post(URL, typed(form, **{f"price-{c}": " 6.50 ", f"active-{b}": None}))
        assert answer.headers["Location"] == f"{URL}#price-{a}"  # the newest stands first: C, B, A
        assert prices() == {"A": 500, "B": 500, "C": 650}
        assert set(Product.objects.filter(is_active=True).values_list("sku", flat=True)) == {"A", "C"}
        assert told(answer) == "2 products were changed."
        assert Product.objects.get(pk=a).version == 1
        assert PriceChange.objects.latest("pk").actor == "staff:ann"
        lines = Trail.objects.order_by("pk").values_list("thing", "before", "after")[0:2]
        assert list(lines) == [
            (f"product:{b}", {"is_active": True}, {"is_active": False}),
            (f"product:{c}", {"price_minor": 500}, {"price_minor": 650}),
        ]

    @pytest.mark.any_engine
    @pytest.mark.parametrize("price", ["", "x", "-1", "1.999", "1e3", "9" * 20, "NaN", "１", "5,00", "\x00", "0x5"])
    def test_refuse_a_bad_price_keep_what_was_typed_and_save_nothing(self, ann: Client, price: str) -> None:
        a, b = make("A", "B")
        answer = ann.post(URL, typed(listed(ann), **{f"price-{a}": price, f"price-{b}": "7"}))
        page = answer.content.decode()
        assert (answer.status_code, prices()) == (200, {"A": 500, "B": 500})
        assert "Nothing was saved." in page and "<p>A: " in page
        assert listed_in(answer).fields[f"price-{b}"] == "7"

    def test_show_a_second_writer_theirs_and_yours(self, ann: Client) -> None:
        a, b = make("A", "B")
        form = listed(ann)
        services.update_product(product_id=a, actor="staff:bob", price=Decimal(8))
        answer = ann.post(URL, typed(form, **{f"price-{a}": "6", f"price-{b}": "7"}))
        assert prices() == {"A": 800, "B": 500}
        [one] = answer.context["row_differences"]
        assert (one.sku, one.label, one.theirs, one.yours) == ("A", "Price", "8.00 USD", "6 USD")
        assert "Somebody else has changed this meanwhile" in answer.content.decode()
        again = listed_in(answer)
        ann.post(URL, typed(again, **{f"take-price-{a}": "theirs"}))
        assert prices() == {"A": 800, "B": 700}
        services.update_product(product_id=a, actor="staff:bob", price=Decimal(9))
        answer = ann.post(URL, typed(listed_in(ann.post(URL, typed(form, **{f"price-{a}": "6"})))))
        assert answer.status_code == 302 and prices() == {"A": 600, "B": 700}

    def test_mind_no_change_of_what_they_do_not_show(self, ann: Client) -> None:
        [a] = make("A")
        form = listed(ann)
        services.update_product(product_id=a, actor="staff:bob", name="Lamp")
        assert ann.post(URL, typed(form, **{f"price-{a}": "6"})).status_code == 302
        assert Product.objects.values_list("name", "price_minor").get() == ("Lamp", 600)

    def test_a_price_typed_for_one_currency_is_not_saved_in_another(self, ann: Client) -> None:
        [a] = make("A")
        form = listed(ann)
        services.update_product(product_id=a, actor="staff:bob", price=Decimal(5), currency="EUR")
        assert ann.post(URL, typed(form, **{f"price-{a}": "6"})).status_code == 200
        assert prices() == {"A": 500}

    def test_sent_twice_have_one_effect(self, ann: Client) -> None:
        [a] = make("A")
        form = typed(listed(ann), **{f"price-{a}": "6"})
        ann.post(URL, form)
        services.update_product(product_id=a, actor="staff:bob", price=Decimal(5))
        answer = ann.post(URL, form)
        assert (answer.status_code, prices()) == (302, {"A": 500})
        assert "had been sent before" in told(answer)

    @pytest.mark.any_engine
    def test_untouched_change_nothing(self, ann: Client) -> None:
        make("A")
        assert told(ann.post(URL, typed(listed(ann)))) == "Nothing was changed."
        assert Product.objects.get().version == 1

    @pytest.mark.any_engine
    @pytest.mark.parametrize("seen", ["", "5.00", "5.00 USD", "5.00 USD 2", "5.00 USD 1 1"])
    def test_damaged_are_refused(self, ann: Client, seen: str) -> None:
        [a] = make("A")
        answer = ann.post(URL, typed(listed(ann), **{f"seen-{a}": seen, f"price-{a}": "6"}))
        assert answer.status_code == 302 and "damaged" in told(answer) and prices() == {"A": 500}
        for pk in ("x", "9" * 30, "-1", "\u0661"):
            data = typed(listed(ann), **{f"seen-{pk}": "5.00 USD 1", f"price-{pk}": "6"})
            assert ann.post(URL, data).status_code == 302 and prices() == {"A": 500}
        without_key = typed(listed(ann), **{f"price-{a}": "6", "_form_key": "x"})
        assert ann.post(URL, without_key).status_code == 302 and prices() == {"A": 500}

    def test_name_a_product_that_is_not_there(self, ann: Client) -> None:
        make("A")
        answer = ann.post(URL, typed(listed(ann), **{"seen-77": "5.00 USD 1", "price-77": "6"}))
        assert "There is no product 77." in answer.content.decode()

    @pytest.mark.any_engine
    def test_are_for_those_who_may_change_products(self) -> None:
        [a] = make("A")
        stock = people.member("stock staff")
        page = stock.get(URL).content.decode()
        assert f'name="price-{a}"' not in page and "Save the list" not in page and "5.00" in page
        data = {f"seen-{a}": "5.00 USD 1", f"price-{a}": "6", "save_rows": "yes"}
        assert stock.post(URL, data).status_code == 403 and prices() == {"A": 500}
        catalog = people.member("catalog staff")
        assert f'name="price-{a}"' in catalog.get(URL).content.decode()

    def test_cost_no_more_statements_however_many(self, ann: Client, statements: Callable[..., Any]) -> None:
        def cost() -> int:
            with statements() as counted:
                ann.get(URL)
            found: Counted = counted
            return found.total

        make("A")
        cost()
        one = cost()
        make(*(f"B{number}" for number in range(20)))
        assert cost() == one <= 3


def listed_in(answer: Any) -> Form:
    return form_in(answer.content.decode(), having="_form_key")


def marked(client: Client, action: str, *ids: int, url: str = URL, **more: Any) -> Any:
    data = listed(client, url).fields | {"action": action, "_selected_action": [str(pk) for pk in ids], "index": "0"}
    return client.post(url, data | more)


class TestManyAtOnce:
    def reprice(self, client: Client, *ids: int, **values: str) -> Any:
        """The page that shows what it would do."""
        form = listed_in(marked(client, "reprice", *ids))
        return client.post(URL, form.fields | {"direction": "more", "percent": "10"} | values | {"stage": "preview"})

    def confirm(self, client: Client, page: Any) -> Any:
        return client.post(URL, listed_in(page).fields | {"stage": "confirm"})

    def test_prices_are_shown_old_and_new_before_they_change(self, ann: Client) -> None:
        a, b = make("A", price="10") + make("B", price="0.01")
        page = self.reprice(ann, a, b, rounding=".99")
        lines = [(line.product.sku, line.old, line.new, line.why_not) for line in page.context["lines"]]
        assert lines == [("B", "0.01 USD", "", "It would be sold for nothing."), ("A", "10.00 USD", "10.99", "")]
        assert prices() == {"A": 1000, "B": 1}
        answer = self.confirm(ann, page)
        assert prices() == {"A": 1099, "B": 1}
        change = BulkChange.objects.get()
        assert (change.what, change.actor) == ("prices +10 %, ending in .99", "staff:ann")
        assert change.lines == [["A", {"price": ["10.00", "10.99"]}]]
        assert f'One product: {change.what}. <a href="/admin/catalog/bulkchange/{change.pk}/undo/">' in told(answer)
        assert PriceChange.objects.filter(actor="staff:ann").count() == 1

    def test_what_has_changed_since_it_was_shown_is_shown_again(self, ann: Client) -> None:
        a, b = make("A", "B")
        page = self.reprice(ann, a, b)
        services.update_product(product_id=a, actor="staff:bob", price=Decimal(8))
        again = self.confirm(ann, page)
        assert again.status_code == 200 and "Something has changed since this was shown" in again.content.decode()
        assert prices() == {"A": 800, "B": 500}
        self.confirm(ann, again)
        assert prices() == {"A": 880, "B": 550}

    def test_a_form_sent_twice_changes_prices_once(self, ann: Client) -> None:
        [a] = make("A")
        form = listed_in(self.reprice(ann, a)).fields | {"stage": "confirm"}
        answers = [ann.post(URL, form) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        assert prices() == {"A": 550} and BulkChange.objects.count() == 1
        assert "had been sent before" in told(answers[1])

    @pytest.mark.any_engine
    @pytest.mark.parametrize(
        "wrong",
        [{"percent": ""}, {"percent": "0"}, {"percent": "-5"}, {"percent": "1e1"}, {"percent": "1.005"}]
        + [{"percent": "1001"}, {"direction": "sideways"}, {"rounding": "7"}, {"percent": "x"}],
    )
    def test_bad_input_is_told_and_changes_nothing(self, ann: Client, wrong: dict[str, str]) -> None:
        [a] = make("A")
        page = self.reprice(ann, a, **wrong)
        assert page.status_code == 200 and page.context["form"].errors and "lines" not in page.context
        assert prices() == {"A": 500}

    @pytest.mark.any_engine
    def test_each_currency_is_rounded_by_its_own_places(self, ann: Client) -> None:
        [a] = make("A", price="101", currency="JPY")
        [b] = make("B", price="1.234", currency="KWD")
        lines = {line.product.sku: line for line in self.reprice(ann, a, b, percent="3").context["lines"]}
        assert (lines["A"].new, lines["B"].new) == ("104", "1.271")
        lines = {
            line.product.sku: line for line in self.reprice(ann, a, b, rounding=".95", percent="30").context["lines"]
        }
        assert "decimal places" in lines["A"].why_not and lines["B"].new == "1.950"

    @pytest.mark.any_engine
    def test_rounding_never_turns_a_price_the_other_way(self, ann: Client) -> None:
        a, b = make("A", price="12.50") + make("B", price="16")
        for direction, sku, way in (("more", "A", "lower: 10.00"), ("less", "B", "higher: 20.00")):
            page = self.reprice(ann, a, b, direction=direction, percent="5", rounding="10")
            stays = {line.product.sku: line.why_not for line in page.context["lines"] if line.why_not}
            assert stays == {sku: f"Rounded so, it would become {way}."}
        self.confirm(ann, page)
        assert prices() == {"A": 1000, "B": 1600}

    def test_all_that_a_filter_finds_are_chosen_at_once(self, ann: Client) -> None:
        make("A", "B", category="Home")
        [c] = make("C", category="Garden")
        url = f"{URL}?category=Home"
        page = marked(ann, "reprice", c, url=url, select_across="1")
        form = listed_in(page).fields | {"direction": "less", "percent": "50", "stage": "preview"}
        self_shown = listed_in(ann.post(url, form)).fields | {"stage": "confirm"}
        ann.post(url, self_shown)
        assert prices() == {"A": 250, "B": 250, "C": 500}

    def test_on_and_off_sale_say_what_they_did_and_to_how_many(self, ann: Client) -> None:
        a, b = make("A", "B")
        answer = marked(ann, "deactivate", a, b)
        assert "2 products: taken off sale." in told(answer) and ">Undo</a>" in told(answer)
        assert not Product.objects.filter(is_active=True).exists()
        assert "they are so already" in told(marked(ann, "deactivate", a, b))
        assert "One product: put on sale." in told(marked(ann, "activate", a))
        assert Product.objects.get(is_active=True).pk == a

    @pytest.mark.any_engine
    def test_who_may_not_change_products_finds_no_action(self) -> None:
        [a] = make("A")
        stock = people.member("stock staff")
        stock.post(URL, {"action": "deactivate", "_selected_action": [a]})
        stock.post(URL, {"action": "reprice", "_selected_action": [a], "stage": "confirm"})
        assert Product.objects.get().version == 1

    def test_costs_no_more_statements_however_many(self, ann: Client, statements: Callable[..., Any]) -> None:
        def cost(*skus: str) -> int:
            page = self.reprice(ann, *make(*skus))
            with statements() as counted:
                assert self.confirm(ann, page).status_code == 302
            found: Counted = counted
            return found.total

        one = cost("A")
        assert cost(*(f"B{number}" for number in range(20))) == one


class TestUndoing:
    @pytest.fixture
    def change(self, ann: Client) -> BulkChange:
        for sku in ("A", "B", "C"):
            make(sku)
        desk = TestManyAtOnce()
        desk.confirm(ann, desk.reprice(ann, *Product.objects.values_list("pk", flat=True)))
        return BulkChange.objects.get()

    def undo(self, client: Client, change: BulkChange) -> Any:
        url = f"/admin/catalog/bulkchange/{change.pk}/undo/"
        return client.post(url, listed(client, url).fields | {"apply": "yes"})

    def test_writes_the_old_prices_where_they_are_still_what_was_written(self, ann: Client, change: BulkChange) -> None:
        product = Product.objects.get(sku="B")
        services.update_product(product_id=product.pk, actor="staff:bob", price=Decimal(9))
        answer = self.undo(ann, change)
        assert prices() == {"A": 500, "B": 900, "C": 500}
        assert told(answer).startswith("2 of 3 are as they were before.") and told(answer).endswith("they are: B.")
        assert PriceChange.objects.filter(actor="staff:ann").count() == 5
        page = ann.get(f"/admin/catalog/bulkchange/{change.pk}/change/").content.decode()
        assert "A: 5.00 → 5.50 USD" in page and "staff:ann" in page

    def test_is_done_once(self, ann: Client, change: BulkChange) -> None:
        url = f"/admin/catalog/bulkchange/{change.pk}/undo/"
        form = listed(ann, url).fields
        other = listed(ann, url).fields
        assert [ann.post(url, form).status_code for _ in range(2)] == [302, 302]
        services.update_product(product_id=Product.objects.get(sku="A").pk, actor="x", price=Decimal("5.5"))
        assert ann.post(url, other).status_code == 200
        assert prices() == {"A": 550, "B": 500, "C": 500}

    def test_is_offered_for_an_hour(self, ann: Client, change: BulkChange) -> None:
        url = f"/admin/catalog/bulkchange/{change.pk}/undo/"
        form = listed(ann, url).fields
        BulkChange.objects.update(at=Now() - timedelta(minutes=61))
        assert ann.get(url).status_code == 302
        assert "for an hour" in ann.post(url, form).content.decode()
        assert prices()["A"] == 550

    @pytest.mark.any_engine
    def test_needs_the_permission(self, change: BulkChange) -> None:
        stock = people.member("stock staff")
        assert stock.post(f"/admin/catalog/bulkchange/{change.pk}/undo/", {}).status_code == 403

    def test_is_kept_for_ninety_days(self, change: BulkChange) -> None:
        services.prune_changes()
        assert BulkChange.objects.exists()
        BulkChange.objects.update(at=F("at") - timedelta(days=91))
        services.prune_changes()
        assert not BulkChange.objects.exists()


class TestTheFilters:
    def choices(self, client: Client) -> dict[str, list[str]]:
        changelist = client.get(URL).context["cl"]
        return {
            spec.title: [str(choice["display"]) for choice in spec.choices(changelist)][1:]
            for spec in changelist.filter_specs
        }

    def test_say_how_many_there_are_of_each(self, ann: Client) -> None:
        make("A", "B", category="Home")
        make("C", category="home")
        make("D", category="Garden", is_active=False)
        make("E")
        Product.objects.filter(sku="A").update(updated_at=Now() - timedelta(days=8))
        found = self.choices(ann)
        assert found["category"] == ["Home (3)", "Garden (1)"]
        assert found["on sale"] == ["on sale (4)", "off sale (1)"]
        assert found["changed"] == ["in the last seven days (4)"]

    @pytest.mark.parametrize(
        ("query", "found"),
        [("category=HOME", {"A", "B"}), ("category=Garden", {"C"}), ("category=none", set())]
        + [("on_sale=0", {"C"}), ("changed=week", {"B", "C"}), ("changed=x", {"A", "B", "C"})],
    )
    def test_find_what_they_say(self, ann: Client, query: str, found: set[str]) -> None:
        make("A", "B", category="Home")
        make("C", category="Garden", is_active=False)
        Product.objects.filter(sku="A").update(updated_at=Now() - timedelta(days=8))
        assert {product.sku for product in ann.get(f"{URL}?{query}").context["cl"].result_list} == found


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("price", "currency", "percent", "rounding", "new"),
    [
        ("10", "USD", "5", "", "10.50"),
        ("9.99", "USD", "-10", "", "8.99"),
        ("0.05", "USD", "10", "", "0.06"),  # a half goes up
        ("10", "USD", "5", ".99", "10.99"),
        ("9.99", "USD", "4", ".99", "9.99"),
        ("10.38", "USD", "0.01", "0.05", "10.40"),
        ("99", "JPY", "10", "10", "110"),
        ("1.234", "KWD", "10", "", "1.357"),
        ("0", "USD", "10", ".99", "0"),
    ],
)
def test_the_nearest_price_that_the_rounding_allows(
    price: str, currency: str, percent: str, rounding: str, new: str
) -> None:
    assert repriced(Decimal(price), currency, percent=Decimal(percent), rounding=rounding) == Decimal(new)
