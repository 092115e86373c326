"""What inventory takes from files: stock counts and receipts, by SKU and warehouse."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contexts.catalog.public.api import catalog
from contexts.inventory import selectors
from contexts.inventory.models import MovementKind
from contexts.inventory.services import counts
from contexts.inventory.services.counts import Counted
from contexts.inventory.services.parts import Place
from contexts.inventory.services.stock import MAX_UNITS
from eci import text
from eci.identity.roles import Role, only
from eci.imports import values, words
from eci.imports.again import AGAIN, YES
from eci.imports.kinds import Cells, Field, Kind, Preset, Question, Skip, Skipped, Values, Verdict, refused
from eci.imports.rows import ACTOR, ImportLineRow, Outcome
from eci.imports.values import Reading

SET, ADD = "set", "add"
_QUANTITY_IN = re.compile(r"(?P<which>current|new) quantity (?P<place>.*\S)\s*", re.IGNORECASE)
_TOO_MANY = f"A warehouse can have at most {MAX_UNITS:,} units of a product."
_NOT_TRACKED = "Nothing is said of its stock."
_PARENTS = {"variable", "grouped", "configurable", "bundle"}

# -- fields -----------------------------------------------------------------------------------------------------------


def _sku(cell: str, reading: Reading) -> str:
    values.warn_of_excel(cell, reading)
    return text.sku(cell)


def _warehouse(cell: str, reading: Reading) -> str:
    """Its code or name, as the file has it."""
    return " ".join(values.line(cell, reading, limit=text.WAREHOUSE_NAME).split())


def _reference(cell: str, reading: Reading) -> str:
    return values.line(cell, reading, limit=255)


def _units(cell: str, reading: Reading) -> int:
    units = values.whole(cell, reading)
    if units > MAX_UNITS:
        raise ValueError(_TOO_MANY)
    return units


def _on_hand(cell: str, reading: Reading) -> int:
    units = _units(cell, reading)
    if units < 0:
        raise ValueError(f"Less than nothing cannot be there ({units}): more was sold than there was. Count it.")
    return units


def _received(cell: str, reading: Reading) -> int:
    units = _units(cell, reading)
    if units < 0:
        raise ValueError("Units that arrive are not negative.")
    return units


_SKU = Field(
    name="sku",
    read=_sku,
    needed=True,
    is_code=True,
    names=("item sku", "product sku", "variant sku", "seller sku", *words.SKU),
)
_WAREHOUSE = Field(
    name="warehouse",
    read=_warehouse,
    names=("location", "warehouse code", "location name", "store", "place", *words.WAREHOUSE),
)
_ON_HAND = Field(
    name="onhand",
    read=_on_hand,
    is_number=True,
    ask="Which column is what is there? On hand has the units that are promised already, available does not.",
    names=(
        "on hand",
        "quantity",
        "qty",
        "stock",
        "count",
        "counted",
        "available",
        "inventory quantity",
        *words.ON_HAND,
        *words.UNITS,
    ),
)
_QUANTITY = Field(
    name="quantity",
    read=_received,
    needed=True,
    is_number=True,
    ask="Which column is what has arrived?",
    names=("received", "qty", "units", "received quantity", "quantity received", *words.UNITS),
)

_REFERENCE = Field(
    name="reference",
    read=_reference,
    is_code=True,
    names=("delivery note", "delivery note number", "packing slip", *words.DELIVERY_NOTE),
)

# -- other shops ------------------------------------------------------------------------------------------------------


def _stocked(cells: Cells, first: Cells) -> Cells | Skip:
    kinds = cells.get("type", "").casefold().replace(",", " ").split()
    if not _PARENTS.isdisjoint(kinds):
        return Skip(f"A {kinds[0]} product has no stock of its own.")
    return cells


def _presets(field: str) -> tuple[Preset, ...]:
    """``field``: what their quantities are."""
    own = {"sku": "sku", "warehouse": "warehouse", field: field}
    return (
        Preset(name="ECI stock", signs=(frozenset({*own, "inventoryid"}),), columns=own, as_written=True),
        # What "new" leaves blank is to be left alone: the columns beside it say how things are.
        Preset(
            name="Shopify inventory",
            signs=(frozenset({"sku", "location", "onhandnew"}),),
            columns={"sku": "sku", "location": "warehouse", "onhandnew": field},
        ),
        Preset(
            name="Shopify inventory",
            signs=(frozenset({"handle", "sku", "location"}), frozenset({"sku", "location", "committed"})),
            columns={
                "sku": "sku",
                "location": "warehouse",
                "onhand": field,
                "onhandcurrent": field,
                "available": field,
                "availablenoteditable": field,
            },
        ),
        Preset(
            name="Shopify products",
            signs=(frozenset({"handle", "variantsku", "variantinventoryqty"}),),
            columns={"variantsku": "sku", "variantinventoryqty": field},
        ),
        Preset(
            name="WooCommerce products",
            signs=(frozenset({"type", "sku", "stock"}),),
            columns={"type": "type", "sku": "sku", "stock": field},
            shape=_stocked,
        ),
        Preset(
            name="Magento products",
            signs=(frozenset({"sku", "producttype", "qty"}),),
            columns={"producttype": "type", "sku": "sku", "qty": field},
            shape=_stocked,
        ),
        Preset(
            name="Amazon listings",
            signs=(frozenset({"sellersku", "quantity"}), frozenset({"sku", "price", "quantity", "adddelete"})),
            columns={"sellersku": "sku", "sku": "sku", "quantity": field},
        ),
        _ORDERS,
        _MOVEMENTS,
    )


# Units that were sold are neither there nor arriving.
_ORDERS = Preset(
    name="Orders",
    signs=(
        frozenset({"lineitemquantity", "lineitemname", "lineitemprice"}),  # Shopify
        frozenset({"orderid", "orderitemid", "sku"}),  # Amazon
        frozenset({"orderid", "line", "sku", "quantity", "linetotal"}),  # our own
    ),
    refusal="This is a file of orders: it says what was sold, and not what is there or has arrived.",
)


_MOVEMENTS = Preset(
    name="ECI movements",
    signs=(frozenset({"movementid", "productid", "delta", "onhand"}),),
    refusal="This is a file of movements: it says how stock came to be what it is. Take the stock as a file.",
)


# -- rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Known:
    """``products``: ids by SKU. ``warehouses``: codes by what files may call them."""

    products: Mapping[str, int]
    warehouses: Mapping[str, str]


def _called(name: str) -> str:
    return " ".join(text.fold(name).split())


def _codes() -> dict[str, str]:
    """The code of each warehouse by what files may call it."""
    return {_called(name): row.code for row in reversed(selectors.all_warehouses()) for name in (row.name, row.code)}


class _Stock(Kind):
    """A row is units of a product in a warehouse. ``units``: the field that says how many."""

    context = "inventory"
    spread_over = "warehouse"
    roles = only(Role.STOCK)
    units: str
    options = {"warehouse": (), "locations": ()}
    maps = frozenset({"locations"})

    def key(self, values: Values) -> str:
        return f"{values['sku']} @ {_called(values['warehouse'])}"

    def spread(self, columns: Sequence[str]) -> dict[int, Cells]:
        """A column for each warehouse: named as it is, or ``Current Quantity Main Street``. Where ``New Quantity Main
        Street`` stands too, that is what was entered, and blank if nothing was."""
        known = {_called(name) for row in selectors.all_warehouses() for name in (row.code, row.name)}
        found, entered = {}, set()
        for index, column in enumerate(columns):
            said = _QUANTITY_IN.fullmatch(column)
            place = said["place"] if said else column
            if said or _called(place) in known:
                found[index] = {"warehouse": place}
            if said and said["which"].casefold() == "new":
                entered.add(index)
        new = {_called(found[index]["warehouse"]) for index in entered}
        return {at: cells for at, cells in found.items() if at in entered or _called(cells["warehouse"]) not in new}

    def questions(
        self, options: Mapping[str, Any], columns: Mapping[str, Sequence[int]], spread: Mapping[int, Cells]
    ) -> list[Question]:
        if "warehouse" in columns or spread:
            return []
        codes = [row.code for row in selectors.all_warehouses() if row.is_active]
        answer = options.get("warehouse") or (codes[0] if len(codes) == 1 else None)
        sentence = "The file names no warehouse. In which one is this?"
        return [Question(name="warehouse", question=sentence, choices=codes, answer=answer, needed=True)]

    def informed(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**options, "codes": _codes()}

    def finish(self, values: Values, options: Mapping[str, Any]) -> Values:
        if self.units not in values:
            raise Skipped(_NOT_TRACKED)
        place = values.get("warehouse") or options.get("warehouse") or ""
        if not place:
            raise ValueError("warehouse: This is blank.")
        place = str((options.get("locations") or {}).get(place, place))
        return values | {"warehouse": options["codes"].get(_called(place), place)}

    def prepare(self, rows: Sequence[Values], ahead: Any = None) -> Known:
        products = catalog.product_ids(skus=sorted({row["sku"] for row in rows}))
        return Known(products=products, warehouses=_codes())

    def look(self, rows: Sequence[Values], prepared: Known) -> list[Verdict]:
        there = selectors.stock_in(places=[place for row in rows if (place := self._place(row, prepared))])
        now = {place: row.on_hand for place, row in there.items()}
        return [self._foreseen(row, prepared, there, now) for row in rows]

    def _place(self, row: Values, prepared: Known) -> Place | None:
        product_id = prepared.products.get(row["sku"])
        code = prepared.warehouses.get(_called(row["warehouse"]))
        return (product_id, code) if product_id and code else None

    def _foreseen(self, row: Values, prepared: Known, there: Mapping[Place, Any], now: dict[Place, int]) -> Verdict:
        """``now``: on hand as the rows before leave it."""
        place = self._place(row, prepared)
        if place is None:
            return refused(self._unknown(row, prepared))
        stock = there.get(place)
        is_new, before = place not in now, now.get(place, 0)
        after = before + row[self.units] if self._adds(row) else row[self.units]
        if after > MAX_UNITS:
            return refused(_TOO_MANY)
        if stock and after < stock.reserved:
            return refused(f"{stock.reserved} units are reserved; on hand cannot become {after}.")
        now[place] = after
        return _verdict(is_new=is_new, before=before, after=after)

    def _unknown(self, row: Values, prepared: Known) -> str:
        if row["sku"] not in prepared.products:
            return f"sku: There is no product {row['sku']}."
        place = values.quoted(row["warehouse"])
        return f"warehouse: There is no warehouse {place}. Make it, or say in locations which one it is."

    def _adds(self, row: Values) -> bool:
        return False

    def write(self, rows: Sequence[Values], prepared: Known, *, actor: str) -> list[Verdict]:
        places = [self._place(row, prepared) for row in rows]
        before = selectors.stock_in(places=[place for place in places if place])
        verdicts: dict[int, Verdict] = {}
        counted: dict[bool, list[tuple[int, Counted]]] = defaultdict(list)
        for index, (row, place) in enumerate(zip(rows, places, strict=True)):
            if place is None:
                verdicts[index] = refused(self._unknown(row, prepared))
                continue
            counted[self._adds(row)].append((index, self._counted(row, place)))
        for add, group in counted.items():
            kind, reason = self._movement(add=add)
            outcomes = counts.record(
                counts=[one for _, one in group], add=add, partial=True, reason=reason, actor=actor, kind=kind
            )
            there = selectors.stock_rows_of(inventory_ids=[one.stock_id for one in outcomes if one.stock_id])
            now = {stock_id: row.on_hand for stock_id, row in there.items()}
            for (index, _), outcome in reversed(list(zip(group, outcomes, strict=True))):
                if outcome.refusal:
                    verdicts[index] = refused(outcome.refusal.message)
                    continue
                after = now[outcome.stock_id or 0]
                now[outcome.stock_id or 0] = after - outcome.delta
                is_new = places[index] not in before and index == places.index(places[index])
                verdicts[index] = _verdict(is_new=is_new, before=after - outcome.delta, after=after)
        return [verdicts[index] for index in range(len(rows))]

    def _counted(self, row: Values, place: Place) -> Counted:
        return Counted(
            product=row["sku"],
            product_id=place[0],
            warehouse=place[1],
            units=row[self.units],
            reference=row.get("reference", ""),
        )

    @abstractmethod
    def _movement(self, *, add: bool) -> tuple[MovementKind, str]:
        """What the ledger calls what a row does, and its reason."""

    def restore(self, lines: Sequence[ImportLineRow], prepared: Known, *, actor: str) -> list[str]:
        """Only where no other movement came since: what was counted or sold later is as it is."""
        places = [self._place(line.values, prepared) for line in lines]
        actors = selectors.last_actors(places=[place for place in places if place])
        why, back = [], []
        for line, place in zip(lines, places, strict=True):
            before, after = line.changes.get("onhand", [0, 0])
            if place is None:
                why.append("Kept: its product or its warehouse is called otherwise now.")
            elif after != (before or 0) and actors.get(place) != actor:
                why.append("Kept, because units have come or gone since.")
            else:
                taken = self._counted(line.values, place)  # with its delivery note, which may be booked again
                back.append((len(why), replace(taken, units=(before or 0) - after)))
                why.append("")
        kind, _ = self._movement(add=any(self._adds(line.values) for line in lines))  # all of a file's rows, or none
        outcomes = counts.record(
            counts=[one for _, one in back], add=True, partial=True, reason="import undone", actor=actor, kind=kind
        )
        for (index, _), outcome in zip(back, outcomes, strict=True):
            if outcome.refusal:
                why[index] = f"Kept: {outcome.refusal.message}"
        return why


def _verdict(*, is_new: bool, before: int, after: int) -> Verdict:
    if is_new:
        return Verdict(outcome=Outcome.NEW, changes={"onhand": [None, after]})
    if before == after:
        return Verdict(outcome=Outcome.SAME)
    return Verdict(outcome=Outcome.CHANGED, changes={"onhand": [before, after]})


class StockCounts(_Stock):
    """A row is what was counted, which on hand becomes; with the option ``counts`` = ``add``, what is added to it."""

    name = "stock_counts"
    fields = (replace(_SKU, names=(*_SKU.names, "reference", "referencia")), _WAREHOUSE, _ON_HAND)
    presets = _presets("onhand")
    units = spread_field = "onhand"
    says = ("onhand",)
    options = {"warehouse": (), "locations": (), "counts": (SET, ADD), AGAIN: (YES,)}
    maps = frozenset({"locations"})

    def questions(
        self, options: Mapping[str, Any], columns: Mapping[str, Sequence[int]], spread: Mapping[int, Cells]
    ) -> list[Question]:
        sentence = "Are the counts what is there, or are they to be added?"
        asked = Question(name="counts", question=sentence, choices=[SET, ADD], answer=options.get("counts", SET))
        return [*super().questions(options, columns, spread), asked]

    def adds(self, options: Mapping[str, Any]) -> bool:
        return options.get("counts") == ADD

    def finish(self, values: Values, options: Mapping[str, Any]) -> Values:
        finished = super().finish(values, options)
        return finished | {"add": True} if self.adds(options) else finished

    def _adds(self, row: Values) -> bool:
        return bool(row.get("add"))

    def _movement(self, *, add: bool) -> tuple[MovementKind, str]:
        """Units that are added have come, which who counts what was there before must know."""
        if add:
            return MovementKind.ADJUSTMENT, "added from a file"
        return MovementKind.COUNT, "stock count from a file"


_NAMED = 5  # who booked a delivery note before


def _by_whom(by: Mapping[str, int]) -> str:
    """The last ones, each with what it booked."""
    named = [f"by {actor.replace(ACTOR, 'import ')}: {units:,} units" for actor, units in by.items()]
    return "; ".join([*(["by others too"] if named[_NAMED:] else []), *named[-_NAMED:]])


class Receipts(_Stock):
    """A row is units that have arrived, and maybe their delivery note. Of the same product there may be several."""

    name = "receipts"
    fields = (_SKU, _WAREHOUSE, _QUANTITY, _REFERENCE)
    presets = _presets("quantity")
    units = spread_field = "quantity"
    unique = False
    options = {"warehouse": (), "locations": (), AGAIN: (YES,)}

    def adds(self, options: Mapping[str, Any]) -> bool:
        return True

    def look(self, rows: Sequence[Values], prepared: Known) -> list[Verdict]:
        """With a warning where the delivery note was booked before, by whatever door."""
        verdicts = super().look(rows, prepared)
        for row, verdict, said in zip(rows, verdicts, self._booked(rows, prepared), strict=True):
            if said and verdict.outcome != Outcome.REFUSED:
                units, sentence = said
                row["booked"] = units  # who applies this has been told of as many
                verdict.messages.append(sentence)
        return verdicts

    def write(self, rows: Sequence[Values], prepared: Known, *, actor: str) -> list[Verdict]:
        """What of a delivery note was booked since the file was read, by others, is refused: nobody was told of it."""
        verdicts: dict[int, Verdict] = {}
        for index, said in enumerate(self._booked(rows, prepared, by_others_than=actor)):
            if said and said[0] > rows[index].get("booked", 0):
                verdicts[index] = refused(f"{said[1]} That was since this file was read.")
        others = [index for index in range(len(rows)) if index not in verdicts]
        written = super().write([rows[index] for index in others], prepared, actor=actor)
        verdicts |= dict(zip(others, written, strict=True))
        return [verdicts[index] for index in range(len(rows))]

    def _booked(
        self, rows: Sequence[Values], prepared: Known, *, by_others_than: str | None = None
    ) -> list[tuple[int, str] | None]:
        """Of each row's delivery note, how many units were booked before, and the sentence that says so."""
        notes = [(self._place(row, prepared), row.get("reference", "")) for row in rows]
        known = {(place, selectors.note_key(reference=note)) for place, note in notes if place and note}
        booked = selectors.received(notes=known, by_others_than=by_others_than)
        found: list[tuple[int, str] | None] = []
        for place, note in notes:
            by = booked.get((place, selectors.note_key(reference=note))) if place else None
            found.append((sum(by.values()), f"{note} was booked before, {_by_whom(by)}.") if by else None)
        return found

    def _adds(self, row: Values) -> bool:
        return True

    def _movement(self, *, add: bool) -> tuple[MovementKind, str]:
        return MovementKind.RECEIPT, "receipt"
