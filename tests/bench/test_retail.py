"""Reading the shop's file, the fate of each line, and which order a return belongs to."""

from __future__ import annotations

import gzip
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from bench import retail
from bench.retail import Adjustment, BadFile, Fate, Order, Plan, Return

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

EXCERPT = Path(__file__).resolve().parents[2] / "bench/data/online-retail-excerpt.csv.gz"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def plan_of(*rows: str) -> Plan:
    """Rows are ``invoice,code,quantity,price,customer``."""
    cells = [row.split(",") for row in rows]
    lines = [
        f"{number},{code},THING,{qty},2011-01-04 10:00:00,{price},{who},UK" for number, code, qty, price, who in cells
    ]
    return retail.plan(retail.parse("\n".join([HEADER, *lines]).encode()))


def fates_of(*rows: str) -> list[str]:
    return [fate.name for _, fate in sorted(plan_of(*rows).fates.items())]


def pieces_of(plan: Plan) -> list[tuple[str, int, Decimal]]:
    """(invoice of the order, units, price of the order's line) of every returned piece."""
    found = []
    for step in plan.steps:
        if isinstance(step.action, Return):
            for piece in step.action.pieces:
                order = plan.steps[piece.order].action
                assert isinstance(order, Order)
                found.append((order.invoice.number, piece.quantity, piece.price))
    return found


class TestExcerpt:
    plan = retail.plan(retail.read(EXCERPT))

    def test_every_line_has_exactly_one_fate(self) -> None:
        with gzip.open(EXCERPT, "rt", encoding="utf-8") as file:
            in_file = sum(1 for _ in file) - 1
        assert in_file == 7885
        assert set(self.plan.fates) == set(range(1, in_file + 1))
        assert sum(len(invoice.lines) for invoice in self.plan.invoices) == in_file

    def test_what_becomes_of_its_lines(self) -> None:
        assert Counter(fate.name for fate in self.plan.fates.values()) == {
            "SOLD": 7669,
            "GIVEN": 63,
            "RETURNED": 53,
            "NO_EARLIER_ORDER": 39,
            "NO_CUSTOMER": 23,
            "NOT_GOODS": 18,
            "FOUND": 9,
            "WRITTEN_OFF": 5,
            "EXCEEDS": 4,
            "RETURNED_IN_PART": 2,
        }

    def test_what_becomes_of_its_invoices(self) -> None:
        found = Counter(retail.outcome(invoice, dict(self.plan.fates)) for invoice in self.plan.invoices)
        assert sum(found.values()) == len(self.plan.invoices) == 200
        assert (found["placed"], found["returned"], found["returned in part"]) == (149, 5, 6)

    def test_what_is_played_is_what_the_fates_say(self) -> None:
        fates, played = self.plan.fates, Counter[Fate]()
        for step in self.plan.steps:
            for number in {line.number for line in step.action.lines}:
                played[fates[number]] += 1
        expected = {Fate.SOLD, Fate.GIVEN, Fate.FOUND, Fate.WRITTEN_OFF, Fate.RETURNED, Fate.RETURNED_IN_PART}
        assert played == {fate: count for fate, count in Counter(fates.values()).items() if fate in expected}

    def test_it_holds_the_dirt_of_the_month(self) -> None:
        lines = [line for invoice in self.plan.invoices for line in invoice.lines]
        codes = {line.sku for line in lines}
        assert {"POST", "D", "M", "m", "BANK CHARGES", "AMAZONFEE", "DOT", "C2", "S", "gift_0001_40"} <= codes
        assert {"15056BL", "15056bl"} <= codes, "codes that differ in case only"
        assert any(not line.customer for line in lines)
        assert any(line.price == 0 and line.quantity > 0 for line in lines)
        assert any(line.quantity < 0 and not line.invoice.startswith("C") for line in lines)
        assert max(len(invoice.lines) for invoice in self.plan.invoices) == 675
        orders = [invoice for invoice in self.plan.invoices if not invoice.is_cancellation]
        assert any(len({line.sku for line in order.lines}) < len(order.lines) for order in orders)

    def test_opening_stock_covers_every_sale_and_write_off(self) -> None:
        needed: Counter[str] = Counter()
        for step in self.plan.steps:
            match step.action:
                case Order(lines=lines):
                    for line in lines:
                        needed[line.sku] += line.quantity
                case Adjustment(line) if line.quantity < 0:
                    needed[line.sku] -= line.quantity
        assert {product.sku: product.needed for product in self.plan.products if product.needed} == needed

    def test_no_order_gives_back_more_than_it_sold(self) -> None:
        left: dict[tuple[int, str], int] = Counter()
        for index, step in enumerate(self.plan.steps):
            match step.action:
                case Order(lines=lines):
                    for line in lines:
                        left[index, line.sku] += line.quantity
                case Return(pieces=pieces):
                    for piece in pieces:
                        assert piece.order < index
                        left[piece.order, piece.line.sku] -= piece.quantity
        assert min(left.values()) >= 0


class TestSales:
    @pytest.mark.parametrize(
        ("row", "fate"),
        [
            ("1,22423,6,12.75,17850.0", "SOLD"),
            ("1,POST,1,18.0,12583.0", "SOLD"),
            ("1,22423,1,0,17850.0", "GIVEN"),
            ("1,22423,5,0.0,", "FOUND"),
            ("1,22423,-5,0.0,", "WRITTEN_OFF"),
            ("1,22423,0,1.25,17850.0", "NO_QUANTITY"),
            ("1,PADS,1,0.001,17850.0", "UNHOLDABLE"),
            ("1,22423,1000001,0.10,17850.0", "TOO_MANY_UNITS"),
            ("1,22423,1000000,0.10,17850.0", "SOLD"),
            ("A1,B,1,11062.06,", "MONEY"),
            ("A1,B,1,-11062.06,", "MONEY"),
            ("1,B,1,-5.00,17850.0", "MONEY"),
            ("1,22423,six,1.25,17850.0", "UNREADABLE"),
            ("1,22423,1.5,1.25,17850.0", "UNREADABLE"),
            ("1,22423,1,NaN,17850.0", "UNREADABLE"),
            ("1,,1,1.25,17850.0", "UNREADABLE"),
        ],
    )
    def test_the_fate_of_a_line(self, row: str, fate: str) -> None:
        assert fates_of(row) == [fate]

    def test_an_unpriced_line_is_a_gift_when_the_guest_buys_something_else(self) -> None:
        assert fates_of("1,22423,1,0,", "1,85123A,1,2.55,") == ["GIVEN", "SOLD"]

    def test_a_price_no_currency_holds_does_not_spoil_the_rest_of_its_invoice(self) -> None:
        (step,) = plan_of("1,PADS,1,0.001,17850.0", "1,22423,1,12.75,17850.0").steps
        assert isinstance(step.action, Order)
        assert [line.sku for line in step.action.lines] == ["22423"]
        assert [line.sku for line in step.action.unholdable] == ["PADS"]

    def test_over_a_thousand_lines_are_refused_and_nothing_of_them_can_come_back(self) -> None:
        plan = plan_of(*["1,22423,1,12.75,17850.0"] * 1001, "C2,22423,-1,12.75,17850.0")
        assert Counter(plan.fates.values()) == {Fate.TOO_MANY_LINES: 1001, Fate.NO_EARLIER_ORDER: 1}
        assert [product.needed for product in plan.products] == [0]

    def test_a_guest_is_known_by_the_invoice(self) -> None:
        invoices = plan_of("1,22423,1,12.75,", "2,22423,1,12.75,17850.0").invoices
        assert [invoice.email for invoice in invoices] == ["guest-1@example.com", "customer-17850@example.com"]

    def test_products(self) -> None:
        plan = plan_of("1,a,6,1.10,", "1,a,2,1.20,", "1,A,1,9.99,")
        products = {product.sku: product for product in plan.products}
        assert products["a"].price == Decimal("1.15")
        assert products["a"].needed == 8
        assert products["A"].price == Decimal("9.99")
        assert products["A"].name == "THING"


class TestReturns:
    def test_goods_of_an_earlier_order(self) -> None:
        plan = plan_of("1,22423,6,12.75,17850.0", "C2,22423,-2,12.75,17850.0")
        assert pieces_of(plan) == [("1", 2, Decimal("12.75"))]
        assert plan.steps[1].after == {0}
        assert plan.fates[2] is Fate.RETURNED

    @pytest.mark.parametrize(
        ("rows", "fate"),
        [
            (["1,22423,6,12.75,17850.0", "C2,22423,-2,12.75,13047.0"], "NO_EARLIER_ORDER"),
            (["C1,22423,-2,12.75,17850.0", "2,22423,6,12.75,17850.0"], "NO_EARLIER_ORDER"),
            (["1,22423,6,12.75,", "C2,22423,-2,12.75,"], "NO_CUSTOMER"),
            (["1,22423,6,12.75,17850.0", "C2,22423,-7,12.75,17850.0"], "RETURNED_IN_PART"),
            (["1,22423,6,12.75,17850.0", "C2,D,-1,27.5,17850.0"], "NOT_GOODS"),
            (["1,POST,1,18.0,17850.0", "C2,POST,-1,15.0,17850.0"], "NOT_GOODS"),
            (["1,POST,1,18.0,17850.0", "C2,POST,-1,18.0,17850.0"], "RETURNED"),
            (["1,22423,6,12.75,17850.0", "C2,22423,2,12.75,17850.0"], "NO_QUANTITY"),
        ],
    )
    def test_the_fate_of_a_cancelled_line(self, rows: list[str], fate: str) -> None:
        cancelled = next(index for index, row in enumerate(rows) if row.startswith("C"))
        assert fates_of(*rows)[cancelled] == fate

    def test_the_second_return_finds_what_the_first_left(self) -> None:
        plan = plan_of("1,22423,2,1.25,7.0", "C2,22423,-2,1.25,7.0", "C3,22423,-1,1.25,7.0")
        assert [fate.name for fate in plan.fates.values()] == ["SOLD", "RETURNED", "EXCEEDS"]

    def test_returns_to_one_order_follow_each_other(self) -> None:
        plan = plan_of("1,22423,2,1.25,7.0", "C2,22423,-1,1.25,7.0", "C3,22423,-1,1.25,7.0")
        assert [step.after for step in plan.steps] == [frozenset(), {0}, {1}]

    def test_the_order_at_the_same_price_comes_first_then_the_latest(self) -> None:
        orders = ["1,22423,5,1.25,7.0", "2,22423,5,1.25,7.0", "3,22423,5,1.45,7.0"]
        assert pieces_of(plan_of(*orders, "C4,22423,-3,1.25,7.0")) == [("2", 3, Decimal("1.25"))]

    def test_an_order_that_has_enough_is_preferred_to_several(self) -> None:
        plan = plan_of("1,22423,5,1.25,7.0", "2,22423,1,1.25,7.0", "C3,22423,-3,1.25,7.0")
        assert pieces_of(plan) == [("1", 3, Decimal("1.25"))]

    def test_a_line_can_come_back_from_several_orders(self) -> None:
        plan = plan_of("1,22423,2,1.25,7.0", "2,22423,2,1.45,7.0", "C3,22423,-3,1.25,7.0")
        assert pieces_of(plan) == [("1", 2, Decimal("1.25")), ("2", 1, Decimal("1.45"))]
        assert plan.fates[3] is Fate.RETURNED
        assert plan.other_price == 1
        assert plan.steps[2].after == {0, 1}


class TestReading:
    ROW = '1,22423,"GIFT £40, boxed",1,2011-01-04 10:00:00,1.25,7.0,UK'

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
    @pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
    def test_encodings_and_compression(self, tmp_path: Path, encoding: str, suffix: str) -> None:
        content = f"{HEADER}\r\n{self.ROW}\r\n".encode(encoding)
        path = tmp_path / f"month{suffix}"
        path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
        (invoice,) = retail.read(path)
        (line,) = invoice.lines
        assert (line.description, line.price, line.customer) == ("GIFT £40, boxed", Decimal("1.25"), "7")

    def test_another_file_is_refused(self) -> None:
        with pytest.raises(BadFile, match="StockCode"):
            retail.parse(b"InvoiceNo,Quantity\n1,2\n")

    def test_a_short_row_is_unreadable_not_lost(self) -> None:
        plan = retail.plan(retail.parse(f"{HEADER}\n1,22423\n{self.ROW}\n".encode()))
        assert [fate.name for fate in plan.fates.values()] == ["UNREADABLE", "SOLD"]
