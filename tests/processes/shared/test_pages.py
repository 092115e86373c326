"""What a person sees in a browser: the API with its forms, its documentation, and the staff's pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.pages import forms_in
from tests.support.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def visitor(product: Product) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=product.url, headers=HTML, trust_env=False, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "has_form"),
    [
        ("products", True), ("products/1", True), ("inventory", True), ("inventory/reserve", True), ("orders", True),
        ("payments", True), ("payments/charge", True), ("shipments", True), ("notifications", True),
        ("warehouses", True), ("users/register", True), ("categories", False), ("customers/1", True),
    ],
)  # fmt: skip
def test_the_api_can_be_browsed(visitor: httpx.Client, path: str, has_form: bool) -> None:
    page = visitor.get(f"/v1/{path}")
    assert page.status_code == (405 if path.rpartition("/")[2] in ("reserve", "charge", "register") else 200)
    assert page.headers["content-type"].startswith("text/html")
    assert ("<textarea" in page.text) == has_form
    for asset in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
        assert visitor.get(asset).status_code == 200, asset


def test_a_form_of_the_browsable_api_works(visitor: httpx.Client) -> None:
    """It needs no script, and pressed twice it has one effect."""
    [form] = [form for form in forms_in(visitor.get("/v1/products").text) if "POST" in form.buttons.get("_method", [])]
    content = '{"sku": "BROWSED", "name": "Browsed", "price": 5}'
    data = form.fields | {"_content": content, "_method": "POST"}

    for _ in range(2):
        sent = visitor.post(form.action, data=data)
        assert sent.status_code == 201 and sent.headers["content-type"].startswith("text/html")
        assert "BROWSED" in sent.text
    assert sent.headers["Idempotent-Replayed"] == "true"


def test_documents_load_from_this_host(visitor: httpx.Client) -> None:
    docs = visitor.get("/docs")
    assert docs.status_code == 200
    for asset in re.findall(r'(?:href|src)="([^"]+)"', docs.text):
        assert not asset.startswith(("http://", "https://", "//")), f"{asset} is somebody else's host"
        if asset.startswith("/"):
            assert visitor.get(asset).status_code == 200, asset


def test_staff_can_open_every_list(visitor: httpx.Client) -> None:
    assert visitor.get("/admin/", follow_redirects=True).url.path == "/admin/login/"
    login = {"username": "admin", "password": "admin", "next": "/admin/"}
    entered = visitor.post(
        "/admin/login/",
        data=login | {"csrfmiddlewaretoken": visitor.cookies["csrftoken"]},
        headers={"Referer": str(visitor.base_url)},
    )
    assert (entered.status_code, entered.headers["location"]) == (302, "/admin/")

    home = visitor.get("/admin/").text
    lists = sorted(set(re.findall(r'href="(/admin/\w+/\w+/)"', home)))
    assert {path.split("/")[2] for path in lists} >= {
        "catalog", "customers", "inventory", "notifications", "orders", "payments", "shipping",
    }  # fmt: skip
    for path in lists:
        page = visitor.get(path)
        assert page.status_code == 200, path
        assert visitor.get(f"{path}?q=LAPTOP").status_code == 200, f"search in {path}"
        rows = re.findall(rf'href="({path}[^"/]+/change/)', page.text)
        for row in rows[:1]:
            assert visitor.get(row).status_code == 200, row
