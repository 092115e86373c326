"""A shop made by ``manage.py prepare``, not by pytest: each kind of staff signs in, and finds the pages it is for."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.product import free_port, wait_until
from tests.support.world import ROOT, world

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]

PASSWORD = "a long enough secret"
ADMIN = {"ECI_DEBUG": "0", "ECI_OPEN": "0", "ECI_SECURE_COOKIES": "0"}
PAGES: dict[str, set[str]] = {
    "catalog staff": {"catalog/product", "catalog/pricechange"},
    "stock staff": {
        "inventory/stock", "inventory/warehouse", "inventory/movement", "inventory/reservation", "shipping/shipment",
        "catalog/product", "catalog/pricechange",
    },
    "support staff": {
        "customers/customer", "orders/order", "orders/switch", "payments/payment", "payments/paymentrequest",
        "payments/refund", "shipping/shipment", "notifications/notification",
    },
    "services": set(),
}  # fmt: skip
EVERY_PAGE = set[str]().union(*PAGES.values()) | {"auth/user", "auth/group", "staff/trail", "staff/repair"}


def manage(own: dict[str, str], *arguments: str, text: str = "") -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=own, input=text, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a web process on a folder that ``prepare`` made from nothing."""
    folder = tmp_path_factory.mktemp("fresh") / "var"
    with world(None, folder, **ADMIN) as own:
        _as_releases_before_left_it(own)
        manage(own, "prepare")
        first, *others = PAGES
        manage(own, "create_staff", _address(first), "--group", first, text=f"{PASSWORD}\n")
        script(own, *(_CREATE.format(_address(group), group) for group in others))
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "--config", "config/gunicorn.py"]
        web = subprocess.Popen([*command, f"--bind=127.0.0.1:{port}"], cwd=ROOT, env=own, stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: _is_up(url), 120)
            yield url
        finally:
            web.terminate()
            web.wait(120)


_CREATE = f"""
sys.stdin = io.StringIO({PASSWORD!r} + "\\n")
call_command("create_staff", {{!r}}, group=[{{!r}}])
"""


def script(own: dict[str, str], *steps: str) -> None:
    """In one process, for loading one takes longest."""
    begin = "import django, io, sys\ndjango.setup()\nfrom django.core.management import call_command\n"
    environment = own | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    subprocess.run([sys.executable, "-c", "".join((begin, *steps))], cwd=ROOT, env=environment, check=True)


def _address(group: str) -> str:
    return f"{group.replace(' ', '.')}@shop.example"


def _as_releases_before_left_it(own: dict[str, str]) -> None:
    """Groups that are there, and empty."""
    script(
        own,
        "call_command('migrate', 'auth', verbosity=0)\n",
        "from django.contrib.auth.models import Group\n",
        f"for name in {list(PAGES)[:2]}: Group.objects.create(name=name)\n",
    )


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", verify=False, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def signed_in(url: str, group: str) -> Iterator[httpx.Client]:
    login = {"username": _address(group), "password": PASSWORD, "next": "/admin/"}
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as browser:
        browser.get("/admin/login/")
        login["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        entered = browser.post("/admin/login/", data=login, headers={"Referer": url})
        assert (entered.status_code, entered.headers["location"]) == (302, "/admin/")
        yield browser


@pytest.mark.parametrize("group", [group for group in PAGES if group != "services"])
def test_each_kind_of_staff_finds_its_pages_and_no_others(shop: str, group: str) -> None:
    with signed_in(shop, group) as browser:
        answers = {page: browser.get(f"/admin/{page}/").status_code for page in sorted(EVERY_PAGE)}
        assert answers == {page: 200 if page in PAGES[group] else 403 for page in answers}
        listed = {path.strip("/") for path in re.findall(r'href="/admin/(\w+/\w+)/"', browser.get("/admin/").text)}
        assert PAGES[group] <= listed
        for page in sorted(listed):
            assert browser.get(f"/admin/{page}/").status_code == 200, page


def test_a_machine_has_a_token_and_no_page(shop: str) -> None:
    account = {"email": "services@shop.example", "password": PASSWORD}
    assert httpx.post(f"{shop}/v1/staff/token", json=account, trust_env=False).status_code == 200
    with httpx.Client(base_url=shop, trust_env=False, timeout=60) as browser:
        browser.get("/admin/login/")
        form = {"username": account["email"], "password": PASSWORD, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        refused = browser.post("/admin/login/", data=form, headers={"Referer": shop})
        assert (refused.status_code, "correct username and password" in refused.text) == (200, True)
        assert {browser.get(page).status_code for page in ("/admin/", "/staff/reconcile")} == {302}


def test_stock_staff_looks_at_products_and_changes_none(shop: str) -> None:
    with signed_in(shop, "stock staff") as browser:
        assert browser.get("/admin/catalog/product/add/").status_code == 403
        assert browser.get("/admin/inventory/warehouse/add/").status_code == 200
