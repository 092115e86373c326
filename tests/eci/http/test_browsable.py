"""The forms of the API's pages, sent as a browser sends them: once, on top of what was seen, and never by mistake."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from contexts.catalog.models import Product
from eci.http import conditional
from eci.http.views import ApiView
from tests.support.api import Api
from tests.support.pages import Form, forms_in
from tests.support.routes import routes
from tests.support.shop import Shop

pytestmark = pytest.mark.any_engine

HTML = {"Accept": "text/html"}


@pytest.fixture
def browser() -> Client:
    """A member of staff, in a browser that sends no token by itself."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("ann", "ann@example.com", "secret-123"))
    return client


def forms(client: Client, url: str, button: str, *, status: int | None = None) -> Form:
    page = client.get(url, headers=HTML)
    assert status is None or page.status_code == status
    return form_with(page, button)


def form_with(page: Any, button: str) -> Form:
    [form] = [form for form in forms_in(page.content.decode()) if button in form.buttons.get("_method", [])]
    return form


def press(client: Client, form: Form, button: str, **typed: Any) -> Any:
    content = typed.pop("content", None)
    sent = form.fields | ({} if content is None else {"_content": json.dumps(content)}) | typed | {"_method": button}
    return client.post(form.action, urlencode(sent), content_type="application/x-www-form-urlencoded", headers=HTML)


NEW = {"sku": "LAMP", "name": "Lämp", "price": "5.00", "category": "Home"}


def test_a_form_pressed_twice_has_one_effect(browser: Client) -> None:
    form = forms(browser, "/v1/products", "POST")
    first, second = (press(browser, form, "POST", content=NEW) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second["Idempotent-Replayed"] == "true"
    assert Product.objects.count() == 1
    assert form_with(first, "POST").fields["Idempotency-Key"] != form.fields["Idempotency-Key"]


def test_the_root_names_each_endpoint_once(browser: Client) -> None:
    said = browser.get("/v1/", headers=HTML).content.decode()
    named = re.findall(r"&quot;endpoint&quot;: .*?(/v1/[^&<\"]*)", said)
    assert "/v1/imports" in named and "/v1/orders/{order_id}/cancel" in named
    assert len(named) == len(set(named))


def test_nothing_is_a_page_too(browser: Client, api: Api) -> None:
    page = browser.get("/v1/nothing?much=1", headers=HTML)
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing at this address." in page.content.decode()
    assert api.get("/v1/nothing?much=1").status == 404


def test_patch_and_put_untouched_change_nothing(browser: Client, api: Api) -> None:
    product_id = api.post("/v1/products", NEW | {"description": "one\ntwo"}).data["product_id"]
    before = Product.objects.values().get()
    for button in ("PATCH", "PUT"):
        form = forms(browser, f"/v1/products/{product_id}", button)
        begun = json.loads(form.fields["_content"])
        assert (begun["sku"], begun["name"], begun["price"]) == ("LAMP", "Lämp", "5.00")
        assert press(browser, form, button).status_code == 200
        assert Product.objects.values().get() == before


def test_the_page_of_an_answer_has_the_new_values(browser: Client, api: Api) -> None:
    product_id = api.post("/v1/products", NEW).data["product_id"]
    answer = press(browser, forms(browser, f"/v1/products/{product_id}", "PATCH"), "PATCH", content={"name": "Neu"})
    assert json.loads(form_with(answer, "PATCH").fields["_content"])["name"] == "Neu"


def test_a_mistake_is_corrected_not_typed_again(browser: Client) -> None:
    form = forms(browser, "/v1/products", "POST")
    wrong = press(browser, form, "POST", content=NEW | {"price": "x"})
    assert wrong.status_code == 400
    again = form_with(wrong, "POST")
    assert json.loads(again.fields["_content"])["sku"] == "LAMP"
    garbage = press(browser, form, "POST", _content="{")
    assert garbage.status_code == 400 and form_with(garbage, "POST").fields["_content"] == "{"


def test_a_form_carries_the_version_it_saw(browser: Client, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from contexts.catalog.http.views import ProductDetailView

    monkeypatch.setattr(ProductDetailView, "conditional_methods", ("PUT", "PATCH", "DELETE"))
    monkeypatch.setattr(ProductDetailView, "get", _with_version)
    monkeypatch.setattr(ProductDetailView, "patch", lambda self, request, product_id: _seen(self))
    product_id = api.post("/v1/products", NEW).data["product_id"]
    form = forms(browser, f"/v1/products/{product_id}", "PATCH")
    assert form.fields["If-Match"] == '"7"'
    assert "&quot;seen&quot;: 7" in press(browser, form, "PATCH").content.decode()
    refused = press(browser, form, "PATCH", **{"If-Match": "nope"})
    assert refused.status_code == 412
    assert form_with(refused, "PATCH").fields["If-Match"] == "nope"


def _with_version(self: Any, request: Any, product_id: int) -> Any:
    return conditional.answer(request, {"sku": "LAMP"}, version=7)


def _seen(view: ApiView) -> Any:
    from rest_framework.response import Response

    return Response({"seen": view.if_match()})


def test_what_needs_nothing_to_be_filled_in_needs_a_tick(browser: Client, api: Api) -> None:
    product_id = api.post("/v1/products", NEW).data["product_id"]
    form = forms(browser, f"/v1/products/{product_id}", "DELETE")
    assert press(browser, form, "DELETE").status_code == 400
    assert Product.objects.get().is_active
    assert press(browser, form, "DELETE", _sure="on").status_code == 200
    assert not Product.objects.get().is_active


def test_nobody_else_can_send_a_form(browser: Client) -> None:
    form = forms(browser, "/v1/products", "POST")
    form.fields.pop("csrfmiddlewaretoken")
    for client in (browser, Client(enforce_csrf_checks=True)):  # the second is let in by open mode
        page = press(client, form, "POST", content=NEW)
        assert page.status_code == 403 and "nothing was saved" in page.content.decode()
    assert not Product.objects.exists()


def test_other_forms_are_no_json(browser: Client) -> None:
    for data in ({"sku": "A"}, {"_method": "TRACE"}, {"_method": "post"}):
        answer = Client().post("/v1/products", urlencode(data), content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 415
    broken = Client().post("/v1/products", b"_method", content_type="multipart/form-data; boundary=x")
    assert broken.status_code in (400, 415)
    assert not Product.objects.exists()


@pytest.mark.parametrize("typed", [{"Idempotency-Key": "x" * 256}, {"Idempotency-Key": "a\x00b"}, {"_content": "\0"}])
def test_what_a_form_cannot_mean_is_a_refusal(browser: Client, typed: dict[str, str]) -> None:
    assert press(browser, forms(browser, "/v1/products", "POST"), "POST", **typed).status_code == 400


def test_no_post_form_does_anything_untouched(browser: Client, shop: Shop) -> None:
    """Whatever page one opens and whatever button one presses: first something has to be filled in, or ticked."""
    tried = 0
    for route in routes():
        if "POST" not in route.methods:
            continue
        page = browser.get(route.example, headers=HTML)
        for form in forms_in(page.content.decode()):
            if "POST" in form.buttons.get("_method", []):
                answer = press(browser, form, "POST")
                assert answer.status_code == 400, (route.path, form.fields, answer.content.decode()[-3000:])
                tried += 1
    assert tried > 20


def test_no_link_of_a_page_is_dead(browser: Client, shop: Shop) -> None:
    """Of pages whose folder is none, and of refusals, whose ``code`` is no warehouse's."""
    for address in ("/v1/users/login", "/v1/staff/token", "/v1/orders/quote", "/v1/warehouses"):
        page = browser.get(address, headers=HTML).content.decode()
        links = [link for link in re.findall(r'href="(/v1[^"?]*)"', page) if link != address]
        assert links
        for link in links:
            assert browser.get(link, headers=HTML).status_code in (200, 405), (address, link)
