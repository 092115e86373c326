"""Import products from files as other shops export them, while the worker is killed.

``python -m bench.imports [ROWS] [SHOP ...]`` makes a file of ROWS products (10,000) for each shop (shopify woocommerce
magento square amazon, and xlsx: our own columns in a workbook), reads and applies it in a process that is killed with
SIGKILL three times on the way, and says how much time, processor time and memory that took, and whether every row is
there once. On servers: ``tools/servers.py .venv/bin/python -m bench.imports``.
"""

from __future__ import annotations

import csv
import io
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from bench import machine

ROOT = Path(__file__).resolve().parent.parent
KILLS = 3
_TEXT = "<p>Made of cotton &amp; patience. Wash at 40&deg;. " + "It lasts, and lasts. " * 12 + "</p>"


def _names(line: str) -> list[str]:
    return next(csv.reader([line]))


def _shopify(rows: int) -> Iterator[list[str]]:
    yield _names("Handle,Title,Body (HTML),Vendor,Type,Published,Option1 Name,Option1 Value,SKU,Variant Price")
    for n in range(rows):
        first = n % 4 == 0
        handle, size = f"shirt-{n // 4}", ["S", "M", "L", "XL"][n % 4]
        shared = [f"Shirt {n // 4}", _TEXT, "Ann", "Shirts", "true"] if first else [""] * 5
        yield [handle, *shared, "Size" if first else "", size, f"SH-{n:07}", f"{n % 900 + 1}.50"]


def _woocommerce(rows: int) -> Iterator[list[str]]:
    yield _names("ID,Type,SKU,Name,Published,Description,In stock?,Stock,Regular price,Categories,Images,Parent")
    for n in range(rows):
        kind, price = "simple, virtual" if n % 50 == 0 else "simple", f"{n % 900 + 1}.5"
        name, categories = f"Hat {n} - Red, No", "Clothing > Hats, Sale"
        yield [str(n), kind, f"WC-{n:07}", name, "1", _TEXT, "1", "", price, categories, "", ""]


def _magento(rows: int) -> Iterator[list[str]]:
    yield _names("sku,store_view_code,attribute_set_code,product_type,categories,name,description,price,product_online")
    for n in range(rows):
        categories = "Default Category/Gear,Default Category/Gear/Bags"
        yield [f"MG-{n:07}", "", "Bag", "simple", categories, f"Bag {n}", _TEXT, f"{n % 900 + 1}.0000", "1"]


def _square(rows: int) -> Iterator[list[str]]:
    yield _names("\ufeffToken,Item Name,Variation Name,SKU,Description,Category,Price,GTIN,Current Quantity Main")
    for n in range(rows):
        yield [f"T{n:08}", f"Cake {n}", "Regular", f"SQ-{n:07}", _TEXT, "Cakes", f"${n % 900 + 1}.50", "", "3"]


def _amazon(rows: int) -> Iterator[list[str]]:
    yield _names("item-name,item-description,listing-id,seller-sku,price,quantity,product-id-type,product-id,status")
    for n in range(rows):
        yield [f'Screen {n} of 5"', _TEXT, f"L{n}", f"AM-{n:07}", f"{n % 900 + 1}.5", "4", "1", f"B{n:09}", "Active"]


def _own(rows: int) -> Iterator[list[str]]:
    yield ["sku", "name", "description", "category", "price", "currency", "is_active"]
    for n in range(rows):
        yield [f"OW-{n:07}", f"Pen {n}", _TEXT, "Pens", f"{n % 900 + 1}.50", "USD", "TRUE"]


SHOPS: dict[str, Callable[[int], Iterator[list[str]]]] = {
    "shopify": _shopify,
    "woocommerce": _woocommerce,
    "magento": _magento,
    "square": _square,
    "amazon": _amazon,
    "xlsx": _own,
}


def file_of(shop: str, rows: int) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    if shop == "xlsx":
        from openpyxl import Workbook

        book = Workbook(write_only=True)
        sheet = book.create_sheet()
        for row in SHOPS[shop](rows):
            sheet.append(row)
        book.save(file)
        return file
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    delimiter, quoting = ("\t", csv.QUOTE_NONE) if shop == "amazon" else (",", csv.QUOTE_MINIMAL)
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, quotechar=None if shop == "amazon" else '"')
    writer.writerows(SHOPS[shop](rows))
    text.flush()
    text.detach()
    return file


def work() -> None:
    """The worker's part: until nothing is under way."""
    from config.operations import processes
    from eci.imports import running
    from eci.imports.rows import UNDER_WAY, imports_of

    processes.collect_rarely()
    while imports_of("catalog").filter(status__in=UNDER_WAY).exists():
        running.run_due("catalog")
        time.sleep(0.2)


def carry_out(import_id: str, *, kills: int, written: Callable[[], int]) -> float:
    """Let a process work until the stage is over, and kill it on the way. Seconds of processor time.

    ``written``: how many rows there are of what the stage writes, with which the progress shown is compared.
    """
    from eci.imports import asking
    from eci.imports.rows import UNDER_WAY

    before, server, begun = _children(), _server(), time.monotonic()
    total, off, dice = 0, 0.0, random.Random(1)
    while asking.find(import_id).status in UNDER_WAY:
        process = subprocess.Popen([sys.executable, "-m", "bench.imports", "--work"], cwd=ROOT)
        at = dice.uniform(0.1, 0.9)
        while process.poll() is None:
            row = asking.find(import_id)
            if kills and row.row_count and row.done / row.row_count >= at and row.status in UNDER_WAY:
                process.send_signal(signal.SIGKILL)
                kills, total = kills - 1, total + 1
                at = min(0.98, row.done / row.row_count + dice.uniform(0.05, 0.3))
                process.wait()
                row = asking.find(import_id)
                off = max(off, abs(row.done - written()) / row.row_count)
                break
            time.sleep(0.05)
    ours, theirs, wall = _children() - before, _server() - server, time.monotonic() - begun
    status = asking.find(import_id).status
    print(
        f"    {status}: {ours:6.1f} CPU-s and {theirs:.1f} of PostgreSQL, {wall:.0f} s, killed {total} times; "
        f"progress off by {off:.2%}",
        flush=True,
    )
    return ours + theirs


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _server() -> float:
    """Seconds of processor time that PostgreSQL has used."""
    from django.db import connections

    connection = connections["catalog"]
    if connection.vendor != "postgresql":
        return 0.0
    connection.ensure_connection()
    backend = machine.parse(Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text())
    return machine.look().cpu(backend.parent) / 1000


def measure(shop: str, rows: int) -> bool:
    from contexts.catalog.models import ImportLine, PriceChange, Product
    from eci.imports import asking
    from eci.imports.kinds import kind_named

    begun = [model.objects.count() for model in (Product, PriceChange)]
    with file_of(shop, rows) as file:
        size = file.seek(0, 2)
        given: dict[str, Any] = {"mapping": {}, "options": {}}
        row = asking.begin(
            kind_named("products"), file, filename=f"{shop}.csv", given=given, actor="command:bench", key=None
        )
    print(f"{shop}: {rows:,} products, {size / 1e6:.0f} MB")
    spent = carry_out(row.import_id, kills=1, written=ImportLine.objects.filter(import_pk=row.pk).count)
    asking.apply(asking.find(row.import_id), actor="command:bench")
    spent += carry_out(row.import_id, kills=2, written=lambda: Product.objects.count() - begun[0])
    found = asking.find(row.import_id)
    made = [model.objects.count() - before for model, before in zip((Product, PriceChange), begun, strict=True)]
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"    {spent:6.1f} CPU-s in all, {memory:.0f} MB at most; {made} products and prices; {found.counts}")
    return made == [rows, rows] and found.status == "APPLIED"


def main() -> int:
    words = sys.argv[1:]
    rows = int(words.pop(0)) if words and words[0].isdecimal() else 10_000
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("ECI_DATA_DIR", folder)
        os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "ECI_DEBUG": "1", "ECI_LOG_LEVEL": "WARNING"}
        subprocess.run([sys.executable, "manage.py", "prepare"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        import django

        django.setup()
        went_well = [measure(shop, rows) for shop in words or SHOPS]
        return 0 if all(went_well) else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["--work"]:
        import django

        django.setup()
        work()
    else:
        sys.exit(main())
