"""Files of products as other shops export them, recognised by their columns, and what their rows come to."""

from __future__ import annotations

import hashlib

from eci import text
from eci.imports.kinds import WARNING, Cells, Preset, Skip

_NO_VARIANT = "Default Title"
_MADE = "The file has no SKU here. This one is made of {}: give the product its own before its stock is counted."


def _made_sku(cells: Cells, what: str, *parts: str) -> Cells:
    """With a SKU that is made of what identifies the product in the old shop, so that the file can be read again."""
    if cells.get("sku") or not parts[0]:
        return cells
    made = "-".join(part for part in parts if part)
    if len(made) > text.SKU:
        made = f"{made[: text.SKU - 9]}-{hashlib.sha256(made.encode()).hexdigest()[:8]}"
    return cells | {"sku": made, WARNING: _MADE.format(what)}


def _all_of(*cells: str | None) -> str | None:
    """One flag of several: whatever says no."""
    said = [cell for cell in cells if cell]
    no = (cell for cell in said if cell.casefold() not in ("true", "active", "1", "yes"))
    return next(no, said[0] if said else None)


# -- Shopify ----------------------------------------------------------------------------------------------------------


def _shopify(cells: Cells, first: Cells) -> Cells | Skip:
    """The first row of a handle has what its variants share; rows with neither variant nor title are pictures."""
    options = [cells.get(f"option{number}", "") for number in (1, 2, 3)]
    if cells is not first and not any([*options, cells.get("sku"), cells.get("price")]):
        return Skip("This row only has a further picture.")
    shared: Cells = {
        name: cells.get(name) or first[name] for name in ("name", "description", "category") if name in first
    }
    named = [option for option in options if option and option != _NO_VARIANT]
    if named and shared.get("name"):
        shared["name"] = f"{shared['name']} - {' / '.join(named)}"
    flags = [cells.get(name) or first.get(name) for name in ("status", "published")]
    if (flag := _all_of(*flags)) is not None:
        shared["is_active"] = flag
    return _made_sku(cells | shared, "handle and options", cells.get("handle", ""), *named)


SHOPIFY = Preset(
    name="Shopify products",
    signs=(
        frozenset({"handle", "title", "option1name"}),
        frozenset({"handle", "title", "option1value"}),
        frozenset({"urlhandle", "title", "option1value"}),
        frozenset({"handle", "variantsku"}),
    ),
    columns={
        "handle": "handle",
        "urlhandle": "handle",
        "title": "name",
        "bodyhtml": "description",
        "description": "description",
        "type": "category",
        "productcategory": "category",
        "option1value": "option1",
        "option2value": "option2",
        "option3value": "option3",
        "variantsku": "sku",
        "sku": "sku",
        "variantprice": "price",
        "price": "price",
        "variantcompareatprice": "price",
        "compareatprice": "price",
        "compareat": "price",
        "variantbarcode": "barcode",
        "barcode": "barcode",
        "status": "status",
        "published": "published",
        "publishedononlinestore": "published",
    },
    group="handle",
    shape=_shopify,
    makes=("sku",),
)

# -- WooCommerce ------------------------------------------------------------------------------------------------------

_PARENTS = {
    "variable": "variations",
    "grouped": "products of their own",
    "configurable": "simple products",
    "bundle": "parts",
}


def _parent(kinds: str) -> Skip | None:
    """Products that are only a page for others have neither price nor stock."""
    for kind in kinds.casefold().replace(",", " ").split():
        if kind in _PARENTS:
            return Skip(f"A {kind} product is not sold itself: its {_PARENTS[kind]} are rows too.")
    return None


def _first_of(cells: Cells, separator: str) -> Cells:
    """A product has one category here: of a list the first."""
    if "category" not in cells:
        return {}
    category = cells["category"].replace("\\,", "\0").partition(separator)[0].replace("\0", ",")
    return {"category": category.strip().removeprefix("Default Category/")}


def _woocommerce(cells: Cells, first: Cells) -> Cells | Skip:
    if skip := _parent(cells.get("type", "")):
        return skip
    shaped = cells | _first_of(cells, ",")
    if cells.get("is_active") == "-1":
        shaped["is_active"] = "draft"
    return _made_sku(shaped, "its ID", "woo" if cells.get("id") else "", cells.get("id", ""))


WOOCOMMERCE = Preset(
    name="WooCommerce products",
    signs=(
        frozenset({"type", "sku", "name", "regularprice"}),
        frozenset({"sku", "regularprice", "saleprice", "instock"}),
    ),
    columns={
        "id": "id",
        "type": "type",
        "sku": "sku",
        "name": "name",
        "published": "is_active",
        "description": "description",
        "shortdescription": "description",
        "categories": "category",
        "regularprice": "price",
        "saleprice": "price",
        "gtinupceanorisbn": "barcode",
    },
    shape=_woocommerce,
    makes=("sku",),
)

# -- Magento ----------------------------------------------------------------------------------------------------------


def _magento(cells: Cells, first: Cells) -> Cells | Skip:
    if cells.get("store view"):
        return Skip("This row has the texts of one store view only.")
    return _parent(cells.get("type", "")) or cells | _first_of(cells, ",")


MAGENTO = Preset(
    name="Magento products",
    signs=(frozenset({"sku", "producttype", "attributesetcode"}), frozenset({"sku", "producttype", "storeviewcode"})),
    columns={
        "sku": "sku",
        "storeviewcode": "store view",
        "producttype": "type",
        "name": "name",
        "description": "description",
        "shortdescription": "description",
        "categories": "category",
        "price": "price",
        "specialprice": "price",
        "productonline": "is_active",
        "visibility": "visibility",  # variants are not visible individually, and sold nevertheless
    },
    shape=_magento,
)

# -- Square -----------------------------------------------------------------------------------------------------------


def _square(cells: Cells, first: Cells) -> Cells | Skip:
    shaped = dict(cells)
    variation = cells.get("variation", "")
    if variation and variation.casefold() != "regular" and cells.get("name"):
        shaped["name"] = f"{cells['name']} - {variation}"
    if cells.get("archived", "").casefold() in ("y", "yes", "true"):
        shaped["is_active"] = "archived"
    return _made_sku(shaped, "its token", cells.get("token", ""))


SQUARE = Preset(
    name="Square items",
    signs=(frozenset({"token", "itemname", "variationname"}), frozenset({"itemname", "variationname", "sku"})),
    columns={
        "token": "token",
        "itemname": "name",
        "variationname": "variation",
        "sku": "sku",
        "description": "description",
        "category": "category",
        "categories": "category",
        "reportingcategory": "category",
        "price": "price",
        "gtin": "barcode",
        "archived": "archived",
    },
    shape=_square,
    makes=("sku",),
)

# -- Amazon -----------------------------------------------------------------------------------------------------------

_CODES = ("3", "4", "5", "upc", "ean", "gtin", "isbn")


def _amazon(cells: Cells, first: Cells) -> Cells | Skip:
    """``add-delete``: a row with d or x takes its product off sale, and says nothing else."""
    if cells.get("add-delete", "").casefold() in ("d", "x", "delete"):
        return {
            "sku": cells.get("sku", ""),
            "is_active": "no",
            WARNING: "The row deletes: the product is taken off sale.",
        }
    if cells.get("code type", "ean").casefold() not in _CODES:
        return {name: cell for name, cell in cells.items() if name != "barcode"}
    return cells


AMAZON = Preset(
    name="Amazon listings",
    signs=(
        frozenset({"sellersku", "itemname"}),
        frozenset({"itemsku", "itemname"}),
        frozenset({"sku", "productid", "productidtype"}),
        frozenset({"sku", "price", "adddelete"}),
    ),
    columns={
        "sellersku": "sku",
        "itemsku": "sku",
        "sku": "sku",
        "itemname": "name",
        "productname": "name",
        "title": "name",
        "itemdescription": "description",
        "productdescription": "description",
        "price": "price",
        "standardprice": "price",
        "saleprice": "price",
        "currency": "currency",
        "productid": "barcode",
        "externalproductid": "barcode",
        "productidtype": "code type",
        "externalproductidtype": "code type",
        "status": "is_active",
        "adddelete": "add-delete",
        "updatedelete": "add-delete",
    },
    shape=_amazon,
)

# -- orders -----------------------------------------------------------------------------------------------------------

ORDERS = Preset(
    name="Orders",
    signs=(
        frozenset({"name", "lineitemname", "lineitemquantity", "lineitemprice"}),  # Shopify
        frozenset({"orderid", "orderitemid", "purchasedate", "sku"}),  # Amazon
        frozenset({"amazonorderid", "purchasedate", "sku", "itemprice"}),
        frozenset({"orderid", "orderstatus", "sku", "quantity"}),
        frozenset({"orderid", "number", "sku", "lineitemtotal", "quantity"}),
        frozenset({"orderid", "line", "sku", "quantity", "linetotal"}),  # our own
    ),
    refusal="This is a file of orders. Those that were placed elsewhere are not taken in; of such a file only the "
    "people are, with kind customers.",
)

SHOPS = (SHOPIFY, WOOCOMMERCE, MAGENTO, SQUARE, AMAZON, ORDERS)
