"""What a search finds on PostgreSQL: the first products of the list, however many match.

The index finds all that match before the first can be sorted. That is quick where few do. Where many do, it is quicker
to walk through the list in its order, and to look at each product until the page is full. So:

1. A sample, the newest products, says how many have each word, how many match, and of which rank these are. A catalog
   of few products needs none.
2. Where few match, the index finds them, and they are ranked and sorted. A word that is far more frequent than the
   rarest one is not asked of the index, but looked for in what the others find. A part of names is asked as the words
   that have it: the lists of its trigrams are as long as the catalog is large. A word's beginning is asked as the words
   that begin so, where they are few: PostgreSQL reads what begins so to the end of its lists, and skips in those of
   words.
3. Where many match, the list is walked rank by rank. Where that is far, the index lists those of the rank, and only
   those are read whose ids are near. Ranks of which few are are asked of the index, together.

All values are parameters; what is put together into SQL is written in this file.
"""
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from math import inf, prod
from operator import itemgetter
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connections
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from contexts.catalog.models import Product
from contexts.catalog.search_indexes import LAST, tsquery
from contexts.catalog.words import LONGEST, NAME, SKU, Asked, Match, Rank, Term, is_listed, is_within_word
from eci.paging import Paging
from eci.remembered import Remembered
from eci.statements.texts import fetched, run

SAMPLE = 1_000  # products that are looked at first
FAR = 40_000  # products that are walked through
FAR_APART = 10_000  # the same in an order in which each lies in another place
FEW = 5_000  # products that are ranked and sorted
RARE = 10  # of the sample, of which those are that filters alone may find
WORDS = 100  # words that have a part, to look for these instead
FEW_WORDS = 10  # the same of several parts, of which each is looked for in what the others find
PARTS = 3  # of a query that are looked for so
LONGER = 4  # words that begin with one, to look for these instead
LISTED = 10  # products that an index lists in the time that it takes to read one
SKIPPED = 300  # the same, of a word that is asked with those of a category
STEPS = 7  # products that are walked through in the time that it takes to find one by the index and rank it
SIFTED = 15  # products of which the index of ids says that they are near, in the same time
LISTS = 2  # products that the index lists in the time that it takes to walk through one
CHANCES = 3  # times as far as the page should reach, to sift what is near from what the index lists
TIMES = 20  # how much more frequent than the rarest a word may be that is asked of the index

LAST_ID = 2**63 - 1

_newest: Remembered[str, int] = Remembered(60)  # the highest id, by alias: there are no more products than that

_BEST = (Rank.KEY, Rank.SKU, Rank.NAME)
_WIDEST = (Rank.KEY, Rank.PART, Rank.ANYWHERE, Rank.MISTAKE)
_INDEXED = ("id", "sku", "barcode", "category_key", "price_thousandths", "terms")
_IN_PARTS = "plain_name"  # its index finds far more than match: the list is walked through sooner

Place = tuple[int, int]  # a product's rank and id


class Sample(NamedTuple):
    """Of ``size`` products out of up to ``all``: how many the filters leave, have each word, fit in all, and are of
    each rank."""

    all: int
    size: int
    found: int
    words: Sequence[int]
    fits: int
    ranks: Mapping[Rank, int]

    def matching(self) -> float:
        """How many match: as many as do, or as would if words met by chance."""
        by_chance = self.found * prod(seen / self.size for seen in self.words) if self.words and self.size else 0
        return max(self.fits, by_chance)

    def in_all(self, matching: float) -> float:
        """Of how many the sample has so many. Where it has none there may be as many as where it has one."""
        return max(matching, 1) * self.all / self.size if self.size else 0

    def ahead(self, matching: float, wanted: int) -> float:
        """How far ahead the last is that is wanted of so many."""
        return self.size * wanted / matching if matching else inf

    def width(self, matching: float, wanted: int, far: int = 0) -> int:
        """How many products to walk through for so many that match; 0 where that would be too far, or take longer than
        to rank all that match."""
        far = far or FAR
        expected = self.ahead(matching, wanted)
        if expected > min(far / 2, STEPS * self.in_all(matching)):
            return 0
        return min(far, 1 << int(2 * expected).bit_length())  # of few widths, because each has a text of its own


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


def _shows(match: Match) -> Sql:
    """Of a product that is looked at: a plan that PostgreSQL keeps would read a query that is no row anew for each."""
    return Sql("catalog_product.terms @@ (SELECT %s::tsquery)", (tsquery(match),))


def _any_of(words: Sequence[str]) -> Sql:
    """Names with one of these words. Each is asked of the index by itself: many of one query take twice as long."""
    asked = [tsquery([[Term(text=NAME + word)]]) for word in words]
    return Sql("catalog_product.terms @@ ANY(%s::tsquery[])", (asked,))


def _looked_at(condition: Sql) -> Sql:
    """The condition, not asked of an index."""
    return _sql("({}) IS TRUE", condition)


def _unforeseen(condition: Sql) -> Sql:
    """The condition, of which PostgreSQL is not to foresee how few it finds: it would read them all, near or not."""
    return Sql(condition.text.replace("@@ %s::tsquery", "@@ (SELECT %s::tsquery)"), condition.parameters)


def _where(found: QuerySet[Product]) -> Sql:
    """What the rows fulfil."""
    query = found.query
    try:
        text, parameters = query.get_compiler(using=found.db).compile(query.where)
    except EmptyResultSet:
        return Sql("FALSE")
    except FullResultSet:
        return Sql("TRUE")
    return Sql(text, tuple(parameters))


def _table(ahead: QuerySet[Product]) -> Sql:
    text, parameters = ahead.query.get_compiler(using=ahead.db).as_sql()
    return Sql(text, tuple(parameters))


def _rows(connection: Any, sql: Sql) -> list[tuple[Any, ...]]:
    return list(run(connection, sql.text, sql.parameters, fetched))


def _products(connection: Any) -> int:
    """How many there may be."""

    def newest_id() -> int:
        [(newest,)] = _rows(connection, Sql("SELECT coalesce(max(id), 0) FROM catalog_product"))
        return int(newest)

    return _newest.get_or_load(connection.alias, newest_id)


def _having(part: str) -> Sql:
    """1, the part and a word of names that has it, of up to one word more than ``WORDS``."""
    cut = f"length = {LONGEST}"  # nobody knows what else such a word had
    like = f"SELECT 1, %s, word FROM catalog_word WHERE word LIKE %s OR {cut} LIMIT {WORDS + 1}"
    return Sql(like, (part, f"%{part}%"))


def named(part: str, using: str) -> Q | None:
    """Names that have the part, by the words that do; None where that is not the quicker way."""
    connection = connections[using]
    if not is_within_word(part) or _products(connection) <= FEW:
        return None
    words = {part, *(word for *_, word in _rows(connection, _having(part)))}
    if len(words) > WORDS:
        return None
    sql = _any_of(sorted(words))
    return Q(RawSQL(sql.text, sql.parameters, output_field=BooleanField()))  # noqa: S611


class Search:
    """``found``: what the filters leave; ``category``: the terms that all of them have by their category."""

    def __init__(self, found: QuerySet[Product], asked: Asked, category: Match = ()) -> None:
        self._asked, self._category = asked, category
        self._connection = connections[found.db]
        self._filters = _where(found)
        self._ranks = {rank: _shows(match) for rank, match in asked.terms.items()}
        self._parts = [self._like(part) for part in asked.parts]
        if self._parts:
            self._ranks[Rank.PART] = _joined(" AND ", self._parts)
        whens = [_sql(f"WHEN {{}} THEN {rank.value}", self._ranks[rank]) for rank in sorted(self._ranks, reverse=True)]
        self._rank = _sql("CASE {} END", _joined(" ", whens)) if whens else Sql("0")
        widest = [self._ranks[rank] for rank in _WIDEST if rank in self._ranks]
        self._fits = _sql("({})", _joined(" OR ", widest)) if widest else Sql("TRUE")
        products = _products(self._connection)
        self._is_large = products > FEW
        self._sample = self._look(products) if self._is_large else self._unseen(products)
        is_indexed = any(f'"{column}"' in self._filters.text for column in _INDEXED)
        listed = SKIPPED if category and self._are_whole() else LISTED
        most = min([RARE, *(seen // listed for seen in self._sample.words)])
        is_rare = max(1, self._sample.found) <= most
        self._by_filters = is_rare and (is_indexed or f'"{_IN_PARTS}"' in self._filters.text)
        self._by_parts = self._by_filters and not is_indexed

    def _like(self, part: str) -> Sql:
        return Sql("catalog_product.plain_name LIKE %s", (f"%{self._connection.ops.prep_for_like_query(part)}%",))

    def page(self, paging: Paging) -> list[Place]:
        """Rank and id of the page's products, in the order of reading, and one more if the list goes on after them."""
        wanted = paging.limit + 1
        matching = self._sample.matching()
        many = self._sample.width(matching, wanted)
        if (many and (self._category or not self._by_filters)) or len(self._ranks) == 1:
            return self._rank_by_rank(paging, wanted)
        if self._sample.in_all(matching) > STEPS * wanted and not (
            paging.backwards or (self._by_filters and not self._category) or (not matching and self._is_unknown())
        ):
            places = self._at_once(_BEST, paging, wanted)
            if places is not None and len(places) == wanted:
                return places
        places = self._at_once(_WIDEST, paging, wanted)
        return self._rank_by_rank(paging, wanted) if places is None else places

    def ordered(self, paging: Paging, by_index: Callable[[], QuerySet[Product]]) -> list[int]:
        """The ids of a page in another order, and one more if the list goes on after it. ``by_index``: what the filters
        leave, as an index finds it."""
        wanted = paging.limit + 1
        far = FAR if paging.field == "created_at" else FAR_APART
        width = self._sample.width(self._sample.matching(), wanted, far)
        if width and (self._by_parts or not self._by_filters):
            ahead = _table(replace(paging, limit=width).of(Product.objects.all()))
            ids = [pk for (pk,) in self._walk(ahead, self._fits, wanted)]
            if len(ids) == wanted:
                return ids
        order = "DESC" if paging.descending != paging.backwards else "ASC"
        columns, filters = f"id, {paging.field}", _where(paging.of(by_index()))
        ordered = f"SELECT id FROM f ORDER BY {paging.field} {order}, id {order} LIMIT {wanted}"
        found = self._found_by(Sql(columns), filters, self._index(*_WIDEST))
        return [pk for (pk,) in self._rows(_sql(f"{{}} {ordered}", found))]

    def some(self, columns: Sequence[str], limit: int) -> list[tuple[Any, ...]]:
        """These columns, ``id`` among them, of the newest products that match."""
        if width := self._sample.width(self._sample.matching(), limit):
            rows = self._walk(_table(Product.objects.order_by("-pk")[:width]), self._fits, limit, ", ".join(columns))
            if len(rows) == limit:
                return rows
        found = self._found_by(Sql(", ".join(columns)), self._filters, self._index(*_WIDEST))
        return self._rows(_sql(f"{{}} SELECT * FROM f ORDER BY id DESC LIMIT {limit}", found))

    def _unseen(self, products: int) -> Sample:
        return Sample(products, 0, 0, [0] * len(self._asked.words), 0, dict.fromkeys(self._ranks, 0))

    def _look(self, products: int) -> Sample:
        """Each word is looked for once: what has all of them fits, or all the parts. A key is of one product or two."""
        words = {f"word{number}": _shows([word]) for number, word in enumerate(self._asked.words)}
        parts = {"parts": self._ranks[Rank.PART]} if self._parts else {}
        seen = {"found": self._filters, **words, **parts}
        fits = " OR ".join([*([" AND ".join(words)] if words else []), *parts]) or "TRUE"
        ranks = sorted(self._ranks.keys() - {Rank.KEY}, reverse=True)
        *better, least = [rank.value for rank in ranks] or [0]
        whens = [_sql(f"WHEN {{}} THEN {rank}", self._ranks[Rank(rank)]) for rank in better]
        rank = _joined(
            " ", [Sql(f"CASE WHEN NOT (found AND ({fits})) THEN NULL"), *whens, Sql(f"ELSE {least} END AS rank")]
        )
        counted = ["TRUE", "found", *words, *(f"rank = {rank}" for rank in (*better, least))]
        counts = ", ".join(f"count(*) FILTER (WHERE {one})" for one in counted)
        newest = f"(SELECT * FROM catalog_product ORDER BY id DESC LIMIT {SAMPLE}) AS catalog_product"
        columns = _joined(", ", [_sql(f"{{}} AS {name}", column) for name, column in seen.items()])
        looked_at = _sql(f"(SELECT terms, plain_name, {{}} FROM {newest} OFFSET 0) AS catalog_product", columns)
        ranked = _sql("(SELECT *, {} FROM {} OFFSET 0) AS catalog_product", rank, looked_at)
        [(size, found, *others)] = self._rows(_sql(f"SELECT {counts} FROM {{}}", ranked))
        units = others[len(words) :]
        in_all = products if size == SAMPLE else size
        of_ranks = dict.fromkeys(self._ranks, 0) | dict(zip(ranks, units, strict=False))
        return Sample(in_all, size, found, others[: len(words)], sum(units), of_ranks)

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
        if self._by_filters and rank not in _BEST:
            return _looked_at(self._ranks[rank])
        if rank == Rank.PART:
            return _joined(" AND ", [self._with_parts(), *map(_looked_at, self._parts)])
        if rank in (Rank.KEY, Rank.NAME):  # whole words
            return self._has(self._asked.terms[rank])
        most = TIMES * max(1, min(self._sample.words))
        asked, looked_at = [], []
        for seen, terms in sorted(zip(self._sample.words, self._asked.terms[rank], strict=True), key=itemgetter(0)):
            whole = self._whole(terms)
            if seen > most and any(term.begins and term.text[0] != SKU for term in whole):
                looked_at.append(whole)
            else:
                asked.append(whole)
        return _joined(" AND ", [self._has(asked), *([_looked_at(_shows(looked_at))] if looked_at else [])])

    def _has(self, match: Match) -> Sql:
        """By the index, which finds few terms among many others the sooner the fewer the others are."""
        return Sql("catalog_product.terms @@ %s::tsquery", (tsquery([*match, *self._category]),))

    def _whole(self, terms: Sequence[Term]) -> Sequence[Term]:
        """The same, asked as whole terms wherever it is known which few begin so."""
        whole: list[Term] = []
        for term in terms:
            place, word = term.text[0], term.text[1:]
            if not term.begins or place == SKU or word not in self._known[0]:
                whole.append(term)
            else:
                whole += [Term(text=place + longer) for longer in self._known[0][word] or [word]]
        return whole

    def _are_whole(self) -> bool:
        """Whether all words are asked as whole terms."""
        return all(term.text[1:] in self._known[0] for terms in self._asked.words for term in terms if term.begins)

    def _is_unknown(self) -> bool:
        """Whether no product can have a word of the query, but in its SKU."""
        begin, within = self._known
        return any(not longer and within.get(word) == [word] for word, longer in begin.items())

    @cached_property
    def _known(self) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
        """For words of the query the few that begin so, if any; for parts of it the words of names that have them, some
        where they are too many, and the part itself."""
        if not self._is_large:
            return {}, {}
        words = {term.text[1:] for terms in self._asked.words for term in terms if term.begins}
        begin = f"(SELECT 0, %s, word FROM catalog_term WHERE word >= %s AND word < %s LIMIT {LONGER + 1})"
        beginning: dict[str, list[str]] = {word: [] for word in words if is_listed(word)}
        within = {part: [part] for part in [one for one in self._asked.parts if is_within_word(one)][:PARTS]}
        asked = [Sql(begin, (word, word, word + LAST)) for word in beginning]
        asked += [_sql("({})", _having(part)) for part in within]
        for kind, one, word in self._rows(_joined(" UNION ALL ", asked)) if asked else ():
            (within if kind else beginning)[one].append(word)
        return (
            {word: list(dict.fromkeys(found)) for word, found in beginning.items() if len(found) <= LONGER},
            {part: list(dict.fromkeys(found)) for part, found in within.items()},
        )

    def _with_parts(self) -> Sql:
        """Names that have all the parts: those with the few words within which they are, else by their trigrams."""
        parts = list(dict.fromkeys(self._asked.parts))
        _, within = self._known
        most = WORDS if len(parts) == 1 else FEW_WORDS
        few = {part: _any_of(words) for part, words in within.items() if len(words) <= most}
        seen = dict(zip(self._asked.parts, self._sample.words, strict=False))
        if len(few) < len(parts) and all(seen.get(part, 0) > RARE for part in few):  # too many names would be read
            few = {}
        category = [self._has([])] if self._category else []
        return _joined(" AND ", [*(few.values() or map(self._like, parts)), *category])

    # -- where many match

    def _rank_by_rank(self, paging: Paging, wanted: int) -> list[Place]:
        """A rank is looked for nearby where that should fill the page. The others, and what was looked for in vain, are
        asked of the index: as many together as should fill it."""
        places: list[Place] = []
        unasked: list[Rank] = []
        for rank in self._ahead(paging):
            nearby = self._nearby(rank, wanted - len(places))
            expected = sum(
                self._sample.in_all(seen) for one in unasked if (seen := self._sample.ranks[one]) or one < Rank.SKU
            )
            if unasked and (nearby or expected >= wanted - len(places)):
                places += self._by_index(unasked, paging, wanted - len(places))
                unasked = []
            if len(places) == wanted:
                return places
            if nearby:
                found = nearby(paging, wanted - len(places))
                if len(places) + len(found) == wanted:
                    return places + found
            unasked.append(rank)
        return places + self._by_index(unasked, paging, wanted - len(places)) if unasked else places

    def _nearby(self, rank: Rank, wanted: int) -> Callable[[Paging, int], list[Place]] | None:
        """What finds the first products of a rank if they should not be far: of many a walk, of fewer the index, which
        lists them all, but reads only those of which the ids say that they are near."""
        seen = self._sample.ranks[rank]
        ahead, listed = self._sample.ahead(seen, wanted), self._listed(rank)
        if ahead < SIFTED * listed and listed < LISTS * ahead:
            return partial(self._by_index, [rank], width=int(CHANCES * ahead))
        width = self._sample.width(seen, wanted)
        return partial(self._walk_rank, rank, width) if width else None

    def _listed(self, rank: Rank) -> float:
        """Of how many products the index looks at the lists, at most. It skips in those of whole words."""
        sample = self._sample
        if self._category:
            return sample.in_all(sample.found)
        if rank != Rank.NAME and len(sample.words) != 1:
            return sample.in_all(sum(sample.words))
        return sample.in_all(sample.ranks[rank]) * sample.size / max(1, sample.found)

    def _ahead(self, paging: Paging) -> list[Rank]:
        """The ranks of which products may follow, in the order of reading."""
        ranks = sorted(self._ranks, reverse=not paging.backwards)
        if paging.after is None:
            return ranks
        place = paging.after[0]
        return [rank for rank in ranks if rank == place or (rank > place) == paging.backwards]

    def _walk_rank(self, rank: Rank, width: int, paging: Paging, wanted: int) -> list[Place]:
        """The first products of the rank, from the cursor on, among the next ``width`` products."""
        beyond = Sql("TRUE")
        if paging.after and paging.after[0] == rank:
            beyond = Sql(f"id {'>' if paging.backwards else '<'} %s", paging.after[1:])
        order = "ASC" if paging.backwards else "DESC"
        ahead = _sql(f"SELECT * FROM catalog_product WHERE {{}} ORDER BY id {order} LIMIT {width}", beyond)
        exactly = _sql(f"{{}} AND {{}} = {rank.value}", _looked_at(self._ranks[rank]), self._rank)
        return [(rank.value, pk) for (pk,) in self._walk(ahead, exactly, wanted)]

    def _by_index(self, ranks: Sequence[Rank], paging: Paging, wanted: int, width: int = 0) -> list[Place]:
        """The first products of these ranks, which follow each other, from the cursor on; of one rank only those among
        the next ``width`` products."""
        order, ahead = ("ASC", ">") if paging.backwards else ("DESC", "<")
        beyond = Sql(f"(rank, id) {ahead} (%s, %s)", paging.after) if paging.after else Sql("TRUE")
        these = ", ".join(str(rank.value) for rank in ranks)
        index = [self._index(*ranks)]
        if width:
            ranked = _looked_at(index[0]) if self._category else _unforeseen(index[0])  # a category has its list
            index = [ranked, self._near(ranks[0], paging, width)]
        found = self._found_by(_sql("id, {} AS rank", self._rank), self._filters, *index)
        sorted_ = f"ORDER BY rank {order}, id {order} LIMIT {wanted}"
        return self._rows(
            _sql(f"{{}} SELECT rank, id FROM f WHERE rank IN ({these}) AND {{}} {sorted_}", found, beyond)
        )

    def _near(self, rank: Rank, paging: Paging, width: int) -> Sql:
        """Ids of the next products of this rank, those that are new since included."""
        start = paging.after[1] if paging.after and paging.after[0] == rank else None
        if paging.backwards:
            ids = (start or 0, (start or 0) + width)
        else:
            newest = _products(self._connection) if start is None else start
            ids = (newest - width, LAST_ID if start is None else start)
        return Sql("id BETWEEN %s AND %s", ids)

    # -- statements

    def _walk(self, ahead: Sql, condition: Sql, limit: int, columns: str = "id") -> list[tuple[Any, ...]]:
        """The first of the products ``ahead`` that match."""
        found = _sql("{} AND {}", self._filters, condition)
        return self._rows(
            _sql(f"SELECT {columns} FROM ({{}}) AS catalog_product WHERE {{}} LIMIT {limit}", ahead, found)
        )

    def _found_by(self, columns: Sql, *conditions: Sql) -> Sql:
        """``f``, all products that match. Were it not by itself, PostgreSQL would go through the list in the order that
        is asked for and hope to meet some soon, which takes long where there are none."""
        where = _joined(" AND ", conditions)
        return _sql("WITH f AS MATERIALIZED (SELECT {} FROM catalog_product WHERE {})", columns, where)

    def _rows(self, sql: Sql) -> list[tuple[Any, ...]]:
        return _rows(self._connection, sql)
