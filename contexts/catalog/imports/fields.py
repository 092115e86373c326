"""The fields of products in files: what their columns are called, and what their cells mean."""

from __future__ import annotations

from eci import money, text
from eci.imports import values, words
from eci.imports.kinds import Field
from eci.imports.values import Reading


def _sku(cell: str, reading: Reading) -> str:
    values.warn_of_excel(cell, reading)
    return text.sku(cell)


def _name(cell: str, reading: Reading) -> str:
    return values.line(cell, reading, limit=text.NAME)


def _description(cell: str, reading: Reading) -> str:
    return values.lines(cell, reading, limit=text.DESCRIPTION)


def _category(cell: str, reading: Reading) -> str:
    return values.line(cell, reading, limit=text.CATEGORY)


def _price(cell: str, reading: Reading) -> str:
    """The price, and its currency where the file says it: ``12.5 EUR``."""
    if cell.strip().casefold() == "variable":
        raise ValueError("The old shop asked for the price at the till. Write a price.")
    code = reading.cells.get("currency", "").strip().upper()
    price, currency = values.amount(cell, reading, currency=code if money.is_currency(code) else "")
    return f"{price:f} {currency}".rstrip()


def _currency(cell: str, reading: Reading) -> str:
    code = cell.strip().upper()
    if not money.is_currency(code):
        raise ValueError(f"{values.quoted(cell, 20)} is not a currency.")
    return code


def _barcode(cell: str, reading: Reading) -> str | None:
    """Digits only: what a spreadsheet has shortened is left out, and said."""
    digits = "".join(cell.split()).replace("-", "").removesuffix(".0")
    if values.was_a_number(digits):
        reading.warn(f"barcode: a spreadsheet has shortened {values.quoted(cell)}, so it is left out.")
        return None
    if len(digits) in _SHORT and _is_checked(digits):
        reading.warn(f"barcode: Has a spreadsheet taken the zeros of {digits.zfill(12)}?")
    return text.barcode(digits)


_SHORT = (9, 10, 11)  # digits, which no EAN, UPC or GTIN has


def _is_checked(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it, as of an EAN or UPC, whatever its zeros."""
    return digits.isdecimal() and sum(int(one) * (1, 3)[at % 2] for at, one in enumerate(reversed(digits))) % 10 == 0


def _flag(cell: str, reading: Reading) -> bool:
    return values.flag(cell)


SKU = Field(
    name="sku",
    read=_sku,
    needed=True,
    is_code=True,
    names=(
        "item sku",
        "product sku",
        "variant sku",
        "seller sku",
        "article number",
        "item number",
        "product code",
        "product code sku",
        "reference",
        "referencia",
        *words.SKU,
    ),
)
NAME = Field(
    name="name", read=_name, names=("title", "product name", "item name", "product title", "product", *words.NAME)
)
DESCRIPTION = Field(
    name="description",
    read=_description,
    cleared="",
    names=("body", "body html", "product description", "long description", *words.DESCRIPTION),
)
CATEGORY = Field(
    name="category",
    read=_category,
    cleared="",
    names=("categories", "product category", "category name", "product type", "type", "department", *words.CATEGORY),
)
PRICE = Field(
    name="price",
    read=_price,
    is_number=True,
    is_amount=True,
    ask="Which column is the price? A sale's price is taken as it is, whatever its dates.",
    names=(
        *("unit price", "selling price", "list price", "regular price", "sale price", "special price"),
        *("retail price", "retail"),
        *(
            "standard price",
            "variant price",
            "compare at price",
            "msrp",
            "rrp",
            "mrp",
            "price tax incl",
            "price tax excl",
        ),
        *(
            "sales price",
            "start price",
            "base price",
            "web price",
            "shop price",
            "current price",
            "consumer price",
            "uvp",
        ),
        *words.PRICE,
    ),
    doubtful=("msrp", "rrp", "mrp", "uvp", "compare at price"),
    beside=words.TAX,
    sounds=("price", "preis", "prix", "precio", "prezzo", "prijs", "cena", "preco", "pvp"),
)
CURRENCY = Field(
    name="currency", read=_currency, is_currency=True, names=("price currency", "currency code", *words.CURRENCY)
)
BARCODE = Field(
    name="barcode",
    read=_barcode,
    cleared="",
    is_code=True,
    names=("gtin", "ean", "upc", "isbn", "ean13", "gtin upc ean or isbn", *words.BARCODE),
)
IS_ACTIVE = Field(
    name="is_active",
    read=_flag,
    names=(
        *("active", "published", "status", "enabled", "visible", "product online", "product visible", "is enabled"),
        *("is visible", "is published", "website published", "for sale", "can be sold", "sale ok", "saleable"),
        "on sale",
        *("visibility", "product status", "item status", "listing status", "active status", *words.IS_ACTIVE),
    ),
    denied=(
        *("archived", "discontinued", "deleted", "hidden", "disabled", "inactive", "deactivated", "unpublished"),
        *("is archived", "is discontinued", "is deleted", "is hidden", "is disabled", "is inactive", "blocked"),
        *("obsolete", "retired", "end of life", "not for sale", "off sale", *words.NOT_ACTIVE),
    ),
    sounds=(
        *("active", "activo", "activad", "inactiv", "deactiv", "aktiv", "actif", "enabl", "disabl", "archiv", "delete"),
        *("discontin", "hidden", "visib", "published", "publie", "publicad"),
        *("status", "availab", "obsolet", "retired", "sichtbar", "veroffentl", "gelosch", "versteck", "gesperrt"),
        *("habilit", "ocult", "nascost", "pubblic", "zichtbaar", "verborgen", "aktyw", "widoczn", "ukryt", "lathato"),
    ),
)
