"""Files as other shops export them: what in them is a product, and what it is called, costs and belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.imports import Importing, csv

pytestmark = pytest.mark.any_engine


def products(importing: Importing, content: bytes, **given: Any) -> dict[str, dict[str, Any]]:
    """What the shop has once the file is applied, by SKU."""
    done = importing.take(content, **given)
    assert done["status"] == "APPLIED", (done, importing.rows(done["import_id"]))
    return {one["sku"]: one for one in importing.api.get("/v1/products?limit=100").data}


class TestShopify:
    HEADER = "Handle,Title,Body (HTML),Type,Published,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src"

    def test_rows_without_sku_are_known_by_handle_and_options(self, importing: Importing) -> None:
        content = csv(
            self.HEADER,
            "clay-pot,Clay pot,<p>Red</p>,Pots,true,Size,Small,,9.50,a.jpg",
            "clay-pot,,,,,,Large,,19.50,",
        )
        read = importing.read(content)
        assert (read["detected"]["preset"], read["counts"]["new"], read["counts"]["warned"]) == (
            "Shopify products",
            2,
            2,
        )
        assert "made of handle and options" in importing.rows(read["import_id"])[0]["messages"][0]
        importing.apply(read["import_id"])
        assert importing.read(content)["counts"]["same"] == 2, "the same file again is the same products"

    def test_continued_rows_have_what_the_first_one_says(self, importing: Importing) -> None:
        found = products(
            importing,
            csv(
                self.HEADER,
                "tee,Tee,<p>Soft</p>,Shirts,true,Size,S,TEE-S,20.00,a.jpg",
                "tee,,,,,,M,TEE-M,21.00,",
                "mug,Mug,,Cups,false,Title,Default Title,MUG,8.00,",
            ),
        )
        assert {sku: (one["name"], one["price"], one["category"]) for sku, one in found.items()} == {
            "TEE-S": ("Tee - S", "20.00", "Shirts"),
            "TEE-M": ("Tee - M", "21.00", "Shirts"),
            "MUG": ("Mug", "8.00", "Cups"),
        }
        assert found["TEE-M"]["description"] == "<p>Soft</p>"
        assert [found[sku]["is_active"] for sku in ("TEE-M", "MUG")] == [True, False]

    def test_rows_with_a_further_picture_are_no_errors(self, importing: Importing) -> None:
        read = importing.read(
            csv(
                self.HEADER, "tee,Tee,,,true,Title,Default Title,TEE,20,a.jpg", "tee,,,,,,,,,b.jpg", "tee,,,,,,,,,c.jpg"
            )
        )
        assert importing.outcomes(read["import_id"]) == [(2, "new"), (3, "skipped"), (4, "skipped")]
        assert read["counts"]["refused"] == 0

    def test_new_names_of_columns_are_known(self, importing: Importing) -> None:
        found = products(
            importing,
            csv(
                "URL handle,Title,Status,Option1 name,Option1 value,SKU,Price,Barcode",
                "tee,Tee,Active,Size,S,'0017,20.00,'0012345678905",
                "old,Old,Archived,Title,Default Title,OLD,5,",
            ),
        )
        assert (found["0017"]["name"], found["0017"]["barcode"]) == ("Tee - S", "0012345678905")
        assert found["OLD"]["is_active"] is False

    def test_which_of_two_prices_is_asked_once(self, importing: Importing) -> None:
        read = importing.read(
            csv(
                "Handle,Title,Option1 Value,Variant SKU,Variant Price,Variant Compare At Price",
                "tee,Tee,Default Title,TEE,20.00,25.00",
                "mug,Mug,Default Title,MUG,8.00,",
            )
        )
        [asked] = [one for one in read["questions"] if one["needed"]]
        assert (asked["name"], asked["choices"]) == ("price", ["Variant Price", "Variant Compare At Price"])
        assert read["counts"]["new"] == 0
        refused = importing.api.post(f"/v1/imports/{read['import_id']}/apply")
        assert (refused.status, refused.code, refused.details["questions"]) == (409, "questions_open", ["price"])
        importing.answer(read["import_id"], price="Variant Compare At Price")
        importing.apply(read["import_id"])
        prices = {one["sku"]: one["price"] for one in importing.api.get("/v1/products").data}
        assert prices == {"TEE": "25.00", "MUG": "8.00"}, "where it is blank, the other one counts"


class TestWooCommerce:
    HEADER = "ID,Type,SKU,Name,Published,In stock?,Stock,Regular price,Categories,Parent,Tax - Moms (25%),Meta: _x"

    def test_what_is_sold_is_taken_and_what_is_only_a_page_is_not(self, importing: Importing) -> None:
        content = csv(
            self.HEADER,
            '44,variable,HOODIE,Hoodie,1,1,,,"Clothing > Hoodies, Sale",,,',
            '45,variation,HOODIE-R,"Hoodie - Red, No",1,1,,45,,id:44,,',
            "46,grouped,SET,Set,1,1,,,,,,",
            '47,"simple, downloadable, virtual",SONG,Song,1,1,,.5,"Music > Singles, Sale",,,',
            "48,simple,DRAFT,Draft,-1,0,,9.00,,,,",
        )
        read = importing.read(content)
        assert [outcome for _, outcome in importing.outcomes(read["import_id"])] == [
            *("skipped", "new", "skipped", "new", "new"),
        ]
        assert read["notes"] == ["Not used: In stock?, Stock, Parent, Tax - Moms (25%), Meta: _x."]
        found = products(importing, content)
        assert found["HOODIE-R"]["name"] == "Hoodie - Red, No"
        assert (found["SONG"]["price"], found["SONG"]["category"]) == ("0.50", "Music > Singles")
        assert found["DRAFT"]["is_active"] is False

    def test_a_decimal_comma_and_a_semicolon_are_seen(self, importing: Importing) -> None:
        found = products(
            importing,
            csv("Type;SKU;Name;Regular price", 'simple;A;Ei;"45,00"', "simple;B;Zwei;1.299,00", "simple;C;Drei;7"),
        )
        assert {sku: one["price"] for sku, one in found.items()} == {"A": "45.00", "B": "1299.00", "C": "7.00"}

    def test_a_product_without_sku_is_known_by_its_number(self, importing: Importing) -> None:
        assert set(products(importing, csv("ID,Type,SKU,Name,Regular price", "44,simple,,Cap,12"))) == {"woo-44"}


class TestMagento:
    HEADER = "sku,store_view_code,product_type,categories,name,description,price,special_price,product_online"

    def test_simple_products_are_taken(self, importing: Importing) -> None:
        gear = '"Default Category/Gear,Default Category/Gear/Fitness"'
        found = products(
            importing,
            csv(
                self.HEADER,
                f"24-MB01,,simple,{gear},Joust&#039;s Bag,<ul><li>Caf&eacute; &amp; gym</li></ul>,34.0000,,1",
                "24-WG08,,grouped,,Set,,,,1",
                "24-MB01,de,,,Tasche,,,,",
                "24-MB02,,simple,,Off,,5.0000,,2",
            ),
        )
        assert set(found) == {"24-MB01", "24-MB02"}
        bag = found["24-MB01"]
        assert (bag["name"], bag["price"], bag["category"]) == ("Joust's Bag", "34.00", "Gear")
        assert bag["description"] == "<ul><li>Café &amp; gym</li></ul>"
        assert found["24-MB02"]["is_active"] is False

    def test_variants_that_are_not_visible_by_themselves_are_sold(self, importing: Importing) -> None:
        header = "sku,attribute_set_code,product_type,name,price,visibility"
        found = products(importing, csv(header, "A,Default,simple,A,5,Not Visible Individually"))
        assert found["A"]["is_active"] is True


class TestSquare:
    HEADER = "\ufeffToken,Item Name,Variation Name,SKU,Description,Category,Price,GTIN"

    def test_items_and_variations(self, importing: Importing) -> None:
        content = csv(
            self.HEADER,
            "T1,Coffee,Small,C-S,,Drinks,$2.50,,",
            "T2,Coffee,Regular,C-R,,Drinks,$3.00,036000291452,",
            "T3,Gift,Regular,G,,,variable,,",
            "T4,Water,Regular,W,,,0,,",
        )
        read = importing.read(content)
        assert read["detected"]["preset"] == "Square items"
        messages = {row["key"]: row["messages"] for row in importing.rows(read["import_id"], "&outcome=refused")}
        assert messages == {
            "G": ["price: The old shop asked for the price at the till. Write a price."],
            "W": ["price: It would be sold for nothing. If it is meant so, set the price 0 by hand."],
        }
        found = products(importing, content)
        assert {sku: (one["name"], one["price"]) for sku, one in found.items()} == {
            "C-S": ("Coffee - Small", "2.50"),
            "C-R": ("Coffee", "3.00"),
        }
        assert found["C-R"]["barcode"] == "036000291452"


class TestAmazon:
    HEADER = "item-name\titem-description\tseller-sku\tprice\tproduct-id-type\tproduct-id\tstatus\tadd-delete"

    def test_listings_in_latin_1(self, importing: Importing) -> None:
        rows = [
            'Écran 5" plat\t"Beau" et grand\tAM-1\t19.99\t3\t036000291452\tActive\ta',
            "Thé\tDoré\tAM-2\t4.5\t1\tB00000001\tInactive\ta",
        ]
        found = products(importing, "\n".join([self.HEADER, *rows]).encode("latin-1"))
        assert (found["AM-1"]["name"], found["AM-1"]["description"]) == ('Écran 5" plat', '"Beau" et grand')
        assert (found["AM-1"]["barcode"], found["AM-2"]["barcode"]) == ("036000291452", None)
        assert [found[sku]["is_active"] for sku in ("AM-1", "AM-2")] == [True, False]

    def test_a_row_that_deletes_takes_off_sale(self, importing: Importing) -> None:
        importing.api.post("/v1/products", {"sku": "AM-1", "name": "Screen", "price": "1"})
        importing.api.post("/v1/products", {"sku": "AM-9", "name": "Not in the file", "price": "1"})
        rows = ["Screen\t\tAM-1\t\t\t\t\td", "Other\t\tAM-2\t\t\t\t\tx"]
        read = importing.read("\n".join([self.HEADER, *rows]).encode())
        assert importing.outcomes(read["import_id"]) == [(2, "changed"), (3, "refused")]
        assert importing.rows(read["import_id"])[1]["messages"][0] == "sku: There is no product with this SKU."
        importing.apply(read["import_id"])
        found = {one["sku"]: one["is_active"] for one in importing.api.get("/v1/products").data}
        assert found == {"AM-1": False, "AM-9": True}, "what is not in the file stays as it is"


class TestOrders:
    """Orders are no products. Neither SKUs nor names of their lines are taken for some."""

    SHOPIFY = (
        "Name,Email,Financial Status,Total,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Billing Name"
    )
    AMAZON = "order-id\torder-item-id\tpurchase-date\tbuyer-email\tsku\tproduct-name\tquantity-purchased\titem-price"
    SENTENCE = (
        "This is a file of orders. Those that were placed elsewhere are not taken in; of such a file only the people "
        "are, with kind customers."
    )

    @pytest.mark.parametrize("kind", ["products", "prices"])
    def test_a_file_of_orders_says_so(self, importing: Importing, kind: str) -> None:
        files = [
            csv(self.SHOPIFY, "#1001,a@example.com,paid,30,1,Tee,20,TEE,Ann", "#1001,,,,1,Mug,10,MUG,"),
            csv(self.AMAZON, "408-4870009-9733125\t1\t2026-01-02\ta@example.com\tTEE\tTee\t1\t20"),
        ]
        for number, content in enumerate(files):
            failed = importing.read(content, kind=kind, name=f"{number}.csv")
            assert (failed["status"], failed["error"]) == ("FAILED", self.SENTENCE)

    def test_our_own_are_no_products_either(self, importing: Importing) -> None:
        content = b"".join(importing.api.client.get("/v1/orders/export").streaming_content)
        assert importing.read(content + b"x" * 50)["error"] == self.SENTENCE

    def test_who_says_what_the_columns_are_is_believed(self, importing: Importing) -> None:
        mapping = {"Name": None, "Lineitem sku": "sku", "Lineitem name": "name", "Lineitem price": "price"}
        content = csv(self.SHOPIFY, "#1001,a@example.com,paid,30,1,Tee,20,TEE,Ann", "#1001,,,,1,Mug,10,MUG,")
        assert set(products(importing, content, mapping=mapping)) == {"TEE", "MUG"}


def test_dates_of_the_old_shop_break_nothing(importing: Importing) -> None:
    """In whatever form: none is taken, and who chooses a sale's price is told that its dates do not count."""
    header = "sku,store_view_code,product_type,name,price,special_price,special_price_from_date,created_at"
    read = importing.read(
        csv(
            header,
            "A,,simple,A,34.0000,30.0000,25/10/2015,2015-10-25 3:34:20",
            "B,,simple,B,5.0000,,10/25/15 0:00,2015-10-25T23:59:59Z",
        )
    )
    assert read["notes"] == ["Not used: special_price_from_date, created_at."]
    [asked] = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], "whatever its dates" in asked["question"]) == ("price", True)
    importing.apply(importing.answer(read["import_id"], price="special_price")["import_id"])
    assert {one["sku"]: one["price"] for one in importing.api.get("/v1/products").data} == {"A": "30.00", "B": "5.00"}


def test_long_descriptions_with_line_breaks(importing: Importing) -> None:
    body = "<p>Line&nbsp;1</p>\n" + "long " * 2_400
    found = products(importing, csv("sku,name,price,description", f'A,A,1,"{body}"'))
    assert found["A"]["description"] == body.replace("&nbsp;", "\xa0").strip()
