"""Makes docs/screenshots anew: each desk of staff, of a shop in open mode in which ``make replay`` has traded.

    python tools/screenshots.py --base-url http://127.0.0.1:8000

It needs Chromium (tools/install-servers.sh --browser) and places three orders that wait to be packed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).resolve().parent.parent / "docs/screenshots"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
DEMO = "admin"  # name and password of the demo's login


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", default="http://127.0.0.1:8000")
    url = parser.parse_args().base_url
    chromium = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if chromium is None:
        print("Chromium is needed: tools/install-servers.sh --browser", file=sys.stderr)
        return 1
    orders = [place(url, product_id, fulfilment="warehouse") for product_id in (16, 19, 31)]
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = log_in(browser, url)
        for name, path in {
            "front-page": "/admin/",
            "products": "/admin/catalog/product/",
            "prices": "/admin/catalog/pricechange/",
            "stock": "/admin/inventory/stock/?q=mug",
            "stock-row": "/admin/inventory/stock/31/change/",
            "to-pack": "/staff/pack?warehouse=WH001",
            "orders": "/admin/orders/order/",
            "order": f"/staff/orders/{orders[1]}",
            "problems": "/staff/reconcile",
        }.items():
            page.goto(path)
            take(page, name)
        page.goto(f"/staff/orders/{orders[2]}/cancel")
        page.get_by_label("Reason").select_option(index=1)
        page.get_by_role("button", name="See what it does").click()
        page.get_by_text("This is what it does").wait_for()
        take(page, "cancel")
        page.goto("/staff/pack?warehouse=WH001")
        page.locator("a.open").first.click()
        page.get_by_text("What goes into it").wait_for()
        take(page, "parcel")
        document(page)
        take(page, "receive-count-move")
        take_as(browser, url, "front-page-dark", "/admin/", color_scheme="dark")
        phone = log_in(browser, url, viewport=PHONE)
        document(phone)
        take(phone, "receive-on-a-phone")
        browser.close()
    return 0


def place(url: str, product_id: int, **more: str) -> str:
    body = {"customer_id": 1, "items": [{"product_id": product_id, "quantity": 2}], **more}
    answer = httpx.post(f"{url}/v1/orders", json=body, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["data"]["order_id"])


def log_in(browser: Browser, url: str, **screen: Any) -> Page:
    page = browser.new_page(base_url=url, **{"viewport": WIDE} | screen)
    page.goto("/admin/login/")
    page.get_by_label("Username").fill(DEMO)
    page.get_by_label("Password").fill(DEMO)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")
    return page


def document(page: Page) -> None:
    """Three products scanned in."""
    page.goto("/admin/inventory/stock/document/")
    for code in ("24*MUG-BLUE", "24*MUG-RED", "6*TEAPOT-GL"):
        page.locator("#scan").fill(code)
        page.keyboard.press("Enter")
        page.get_by_role("row").filter(has_text=code.partition("*")[2]).wait_for()


def take_as(browser: Browser, url: str, name: str, path: str, **screen: Any) -> None:
    page = log_in(browser, url, **screen)
    page.goto(path)
    take(page, name)


def take(page: Page, name: str) -> None:
    picture = FOLDER / f"{name}.png"
    page.screenshot(path=picture)
    print(f"docs/screenshots/{picture.name}  {picture.stat().st_size // 1024} kB")


if __name__ == "__main__":
    sys.exit(main())
