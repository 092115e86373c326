"""What a search finds on PostgreSQL: the first products of the list, however many match.

The index finds all that match before the first can be sorted. That is quick where few do. Where many do, it is quicker
to walk through the list in its order, and to look at each product until the page is full. So:

1. A sample, the newest products, says how many have each word, how many match, and of which rank these are.
2. Where few match, the index finds them, and they are ranked and sorted. A word that is far more frequent than the
   rarest one is not asked of the index, but looked for in what the others find.
3. Where many match, the list is walked rank by rank. A rank of which few are is asked of the index.

All values are parameters; what is put together into SQL is written in this file.
"""
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from math import inf, prod
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet

from contexts.catalog.models import Product
from contexts.catalog.search_indexes import tsquery
from contexts.catalog.words import Asked, Match, Rank
from eci.paging import Paging

SAMPLE = 1_000  # products that are looked at first
FAR = 40_000  # products that are walked through
FAR_APART = 10_000  # the same in an order in which each lies in another place
FEW = 5_000  # products that are ranked and sorted
RARE = 10  # of the sample, of which those are that filters alone may find
TIMES = 10  # how much more frequent than the rarest a word may be that is asked of the index

_BEST = (Rank.KEY, Rank.SKU, Rank.NAME)
_WIDEST = (Rank.KEY, Rank.PART, Rank.ANYWHERE, Rank.MISTAKE)
_INDEXED = ("id", "sku", "barcode", "category_key", "price_thousandths", "plain_name", "terms")

Place = tuple[int, int]  # a product's rank and id


class Sample(NamedTuple):
    """Of ``size`` products: how many the filters leave, have each word, fit in all, and are of each rank."""

    size: int
    found: int
    words: Sequence[int]
    fits: int
    ranks: Mapping[Rank, int]

    def matching(self) -> float:
        """How many match: as many as do, or as would if words met by chance."""
        by_chance = self.found * prod(seen / self.size for seen in self.words) if self.words and self.size else 0
        return max(self.fits, by_chance)

    def width(self, matching: float, wanted: int, far: int = 0) -> int:
        """How many products to walk through for so many that match; 0 where that would be too far."""
        far = far or FAR
        expected = self.size * wanted / matching if matching else inf
        return min(far, int(3 * expected)) if expected <= far / 2 else 0


class Sql(NamedTuple):
    text: str
    parameters: tuple[Any, ...] = ()


def _sql(text: str, *parts: Sql) -> Sql:
    return Sql(
        text.format(*(part.text for part in parts)), tuple(chain.from_iterable(part.parameters for part in parts))
    )


def _joined(sign: str, parts: Iterable[Sql]) -> Sql:
    parts = list(parts)
    return _sql(sign.join(["{}"] * len(parts)), *parts)


def _has(match: Match) -> Sql:
    return Sql("catalog_product.terms @@ %s::tsquery", (tsquery(match),))


def _looked_at(condition: Sql) -> Sql:
    """The condition, not asked of an index."""
    return _sql("({}) IS TRUE", condition)


def _where(found: QuerySet[Product]) -> Sql:
    """What the rows fulfil."""
    query = found.query.clone()
    query.clear_limits()
    query.clear_ordering(force=True)
    try:
        text, parameters = query.get_compiler(using=found.db).as_sql()
    except EmptyResultSet:
        return Sql("FALSE")
    return Sql(text.partition(' FROM "catalog_product"')[2].removeprefix(" WHERE ") or "TRUE", tuple(parameters))


class Search:
    """``found``: what the filters leave."""

    def __init__(self, found: QuerySet[Product], asked: Asked) -> None:
        self._found, self._asked = found, asked
        self._connection = connections[found.db]
        self._filters = _where(found)
        self._ranks = {rank: _has(match) for rank, match in asked.terms.items()}
        like = self._connection.ops.prep_for_like_query
        self._parts = [Sql("catalog_product.plain_name LIKE %s", (f"%{like(part)}%",)) for part in asked.parts]
        if self._parts:
            self._ranks[Rank.PART] = _joined(" AND ", self._parts)
        whens = [_sql(f"WHEN {{}} THEN {rank.value}", self._ranks[rank]) for rank in sorted(self._ranks, reverse=True)]
        self._rank = _sql("CASE {} END", _joined(" ", whens)) if whens else Sql("0")
        widest = [self._ranks[rank] for rank in _WIDEST if rank in self._ranks]
        self._fits = _sql("({})", _joined(" OR ", widest)) if widest else Sql("TRUE")
        self._sample = self._look()
        is_indexed = any(f'"{column}"' in self._filters.text for column in _INDEXED)
        self._by_filters = is_indexed and self._sample.found <= min([RARE, *self._sample.words])

    def page(self, paging: Paging) -> list[Place]:
        """Rank and id of the page's products, in the order of reading, and one more if the list goes on after them."""
        wanted = paging.limit + 1
        many = self._sample.size == SAMPLE and self._sample.width(self._sample.matching(), wanted)
        if (many and not self._by_filters) or len(self._ranks) == 1:
            return self._rank_by_rank(paging, wanted)
        if not (self._by_filters or paging.backwards):
            places = self._at_once(_BEST, paging, wanted)
            if places is not None and len(places) == wanted:
                return places
        places = self._at_once(_WIDEST, paging, wanted)
        return self._rank_by_rank(paging, wanted) if places is None else places

    def ordered(self, paging: Paging) -> list[int]:
        """The ids of a page in another order, and one more if the list goes on after it."""
        wanted = paging.limit + 1
        far = FAR if paging.field == "created_at" else FAR_APART
        if not self._by_filters and (width := self._sample.width(self._sample.matching(), wanted, far)):
            ahead = replace(paging, limit=width).of(Product.objects.all())
            ids = [pk for (pk,) in self._walk(ahead, self._fits, wanted)]
            if len(ids) == wanted:
                return ids
        order = "DESC" if paging.descending != paging.backwards else "ASC"
        columns, filters = f"id, {paging.field}", _where(paging.of(self._found))
        ordered = f"SELECT id FROM f ORDER BY {paging.field} {order}, id {order} LIMIT {wanted}"
        found = self._found_by(Sql(columns), filters, self._index(*_WIDEST))
        return [pk for (pk,) in self._rows(_sql(f"{{}} {ordered}", found))]

    def some(self, columns: Sequence[str], limit: int) -> list[tuple[Any, ...]]:
        """These columns of products that match, in no order."""
        if width := self._sample.width(self._sample.matching(), limit, 2 * FAR):
            rows = self._walk(Product.objects.order_by("-pk")[:width], self._fits, limit, ", ".join(columns))
            if len(rows) == limit:
                return rows
        found = self._found_by(Sql(", ".join(columns)), self._filters, self._index(*_WIDEST))
        return self._rows(_sql(f"{{}} SELECT * FROM f LIMIT {limit}", found))

    def _look(self) -> Sample:
        words = [_sql(f"{{}} AS word{number}", _has([word])) for number, word in enumerate(self._asked.words)]
        rank = _sql("CASE WHEN {} AND {} THEN {} END AS rank", self._filters, self._fits, self._rank)
        columns = _joined(", ", [_sql("{} AS found", self._filters), rank, *words])
        counted = ["TRUE", "found", *(f"word{number}" for number in range(len(words)))]
        counted += [f"rank = {rank.value}" for rank in self._ranks] or ["rank = 0"]
        counts = ", ".join(f"count(*) FILTER (WHERE {one})" for one in counted)
        newest = f"(SELECT * FROM catalog_product ORDER BY id DESC LIMIT {SAMPLE}) AS catalog_product"
        looked_at = _sql(f"WITH f AS MATERIALIZED (SELECT {{}} FROM {newest}) SELECT {counts} FROM f", columns)
        [(size, found, *others)] = self._rows(looked_at)
        units = others[len(words) :]
        return Sample(size, found, others[: len(words)], sum(units), dict(zip(self._ranks, units, strict=False)))

    # -- where few match

    def _at_once(self, ranks: Collection[Rank], paging: Paging, wanted: int) -> list[Place] | None:
        """The first products of these ranks and of better ones. None where there are more than are soon sorted."""
        order, ahead = ("ASC", ">") if paging.backwards else ("DESC", "<")
        beyond = Sql(f"WHERE (rank, id) {ahead} (%s, %s)", paging.after) if paging.after else Sql("")
        rows = self._rows(
            _sql(
                f"{{}}, g AS MATERIALIZED (SELECT * FROM f LIMIT {FEW + 1}), n AS (SELECT count(*) AS units FROM g) "
                f"SELECT units, rank, id FROM n LEFT JOIN (SELECT * FROM g {{}} ORDER BY rank {order}, id {order} "
                f"LIMIT {wanted}) AS p ON TRUE",
                self._found_by(_sql("id, {} AS rank", self._rank), self._filters, self._index(*ranks)),
                beyond,
            )
        )
        return None if rows[0][0] > FEW else [(rank, pk) for _, rank, pk in rows if pk]

    def _index(self, *ranks: Rank) -> Sql:
        """What finds all products of these ranks: it is asked of the index where that is quicker."""
        asked = [self._index_of(rank) for rank in ranks if rank in self._ranks]
        return _sql("({})", _joined(" OR ", asked)) if asked else Sql("TRUE")

    def _index_of(self, rank: Rank) -> Sql:
        if self._by_filters:
            return _looked_at(self._ranks[rank])
        if rank == Rank.PART:
            rarest = self._parts[0]
            if len(self._parts) == len(self._sample.words):
                _, rarest = min(zip(self._sample.words, self._parts, strict=True))
            return _joined(" AND ", [part if part is rarest else _looked_at(part) for part in self._parts])
        if rank in (Rank.KEY, Rank.NAME):  # whole words
            return self._ranks[rank]
        most = TIMES * max(1, min(self._sample.words))
        words = list(zip(self._asked.terms[rank], self._sample.words, strict=True))
        rare = [word for word, seen in words if seen <= most]
        frequent = [word for word, seen in words if seen > most]
        return _joined(" AND ", [_has(rare), *([_looked_at(_has(frequent))] if frequent else [])])

    # -- where many match

    def _rank_by_rank(self, paging: Paging, wanted: int) -> list[Place]:
        places: list[Place] = []
        for rank in sorted(self._ranks, reverse=not paging.backwards):
            if len(places) < wanted:
                places += self._of_rank(rank, paging, wanted - len(places))
        return places

    def _of_rank(self, rank: Rank, paging: Paging, wanted: int) -> list[Place]:
        """The first products of the rank, from the cursor on."""
        place, start = paging.after or (None, None)
        if place is not None and rank != place and (rank > place) != paging.backwards:
            return []
        down = not paging.backwards
        exactly = _sql(f"{{}} AND {{}} = {rank.value}", _looked_at(self._ranks[rank]), self._rank)
        ahead = Product.objects.order_by("-pk" if down else "pk")
        beyond = Sql("TRUE")
        if rank == place:
            ahead = ahead.filter(**{"pk__lt" if down else "pk__gt": start})
            beyond = Sql(f"id {'<' if down else '>'} %s", (start,))
        ids: list[tuple[Any, ...]] = []
        if width := self._sample.width(self._sample.ranks[rank], wanted):
            ids = self._walk(ahead[:width], exactly, wanted)
        if len(ids) < wanted:
            found = self._found_by(Sql("id"), self._filters, self._index_of(rank), exactly, beyond)
            order = "DESC" if down else "ASC"
            ids = self._rows(_sql(f"{{}} SELECT * FROM f ORDER BY id {order} LIMIT {wanted}", found))
        return [(rank.value, pk) for (pk,) in ids]

    # -- statements

    def _walk(self, ahead: QuerySet[Product], condition: Sql, limit: int, columns: str = "id") -> list[tuple[Any, ...]]:
        """The first of the products ``ahead`` that match."""
        text, parameters = ahead.query.get_compiler(using=self._found.db).as_sql()
        table = Sql(f"({text}) AS catalog_product", tuple(parameters))
        found = _sql("{} AND {}", self._filters, condition)
        return self._rows(_sql(f"SELECT {columns} FROM {{}} WHERE {{}} LIMIT {limit}", table, found))

    def _found_by(self, columns: Sql, *conditions: Sql) -> Sql:
        """``f``, all products that match. Were it not by itself, PostgreSQL would go through the list in the order that
        is asked for and hope to meet some soon, which takes long where there are none."""
        where = _joined(" AND ", conditions)
        return _sql("WITH f AS MATERIALIZED (SELECT {} FROM catalog_product WHERE {})", columns, where)

    def _rows(self, sql: Sql) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql.text, sql.parameters)
            return list(cursor.fetchall())
