"""Finding products: what ``words`` asks of their terms, asked of an index of the engine.

The column ``terms`` is a tsvector with a GIN index on PostgreSQL, and a text with an FTS5 index on SQLite. Parts of
names are found by their trigrams: by pg_trgm there, by FTS5 here. ``install`` makes those indexes, which Django has no
words for. All values are parameters; what is put together into SQL is written in this file.

A product has one rank, and within a rank the newest comes first. So a page needs the first products of few ranks, a
cursor is a rank and an id, and both engines give the same answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import and_, or_
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, router
from django.db.models import BooleanField, Case, Q, QuerySet, Value, When
from django.db.models.expressions import RawSQL

from contexts.catalog import words
from contexts.catalog.models import Product, Word
from contexts.catalog.words import Match, Rank
from eci.paging import Paging
from eci.statements import Inserts

FEW = 1_000  # products that are sorted in a moment
COUNTED = 3_000  # products of which facets are counted
NEAR, FAR = 2_000, 30_000  # products that are looked through in the order of a list, without an index
AT_ONCE = 200  # products of a rank that one statement for all ranks may find
_SOME = 3  # matches that say how frequent such are
_MEANT = 20  # words for which one may have been mistaken
_ALIKE = 10_000  # words that are compared with it

Found = QuerySet[Product]
_add_words = Inserts(Word, once=True)


def page(*, found: Found, query: str, paging: Paging) -> list[tuple[int, int]]:
    """Rank and id of the page's products, in the order of reading, and one more if the list goes on after them."""
    places: list[tuple[int, int]] = []
    vendor = _vendor(found)
    conditions = _conditions(query, vendor)
    ahead = _Ahead(found, query, down=not paging.backwards) if vendor == "postgresql" else None
    if ahead and paging.after is None and (all_of := _at_once(found, query, paging.limit + 1)) is not None:
        places, conditions = all_of, {}
    ranks = [*conditions, Rank.MISTAKE]
    for rank in reversed(ranks) if paging.backwards else ranks:
        missing = paging.limit + 1 - len(places)
        within = _within(found, rank, paging)
        if not missing:
            break
        if within is None or (rank == Rank.MISTAKE and not _begins_with_mistakes(paging, places)):
            continue
        start = paging.after[1] if paging.after and paging.after[0] == rank else None
        if rank != Rank.MISTAKE and ahead:
            newest = ahead.newest(within.filter(conditions[rank]), rank, start=start, limit=missing)
        elif rank != Rank.MISTAKE:
            newest = _newest(within.filter(conditions[rank]), limit=missing, down=not paging.backwards)
        elif match := _mistake(query):
            matching = within.filter(_having([match], vendor))
            if ahead:
                frequent = found.filter(_having([match], vendor, many=True))
                newest = ahead.first(matching, frequent, start=start, limit=missing)
            else:
                newest = _newest(matching, limit=missing, down=not paging.backwards)
        else:
            newest = []
        places += [(rank.value, pk) for pk in newest]
    return places


def ordered(*, find: Callable[[bool], Found], query: str, paging: Paging) -> Found:
    """What holds the page's products, in another order: they are first in it, in the order of ``paging``.

    ``find``: the products, given whether they are known to be no few. With a ``query`` those of them that it finds.
    """
    vendor = _vendor(find(False))

    def finding(many: bool) -> Found:
        if not query:
            return find(many)
        fitting = _fitting(query, vendor, many=many)
        return find(many).none() if fitting is None else find(many).filter(fitting)

    if vendor != "postgresql":
        ids = _few(found=finding(False))
    else:

        def walk(width: int) -> list[int]:
            ahead = replace(paging, limit=width - 1).of(Product.objects.all())
            return _walk(finding(True), ahead=ahead, limit=paging.limit + 1)

        def sort() -> list[int]:
            listed = paging.of(finding(False).values_list("pk", paging.field))
            down = paging.descending != paging.backwards
            return [pk for pk, _ in _first(listed, paging.limit + 1, by=(2, 1), down=down)]

        far = FAR if paging.field == "created_at" else NEAR  # in other orders each is read from another place
        ids = _next(walk, few=lambda: _few(found=finding(False)), sort=sort, limit=paging.limit + 1, far=far)
    if ids == [] and query:
        return _mistaken(find(False), query)
    return finding(True) if ids is None else Product.objects.filter(pk__in=ids)


def everything(*, found: Found, query: str) -> Found:
    """All of ``found`` that the query finds, for another order; narrowed to their ids where they are few."""
    vendor = _vendor(found)
    fitting = _fitting(query, vendor)
    if fitting is None:
        return found.none()
    ids = _few(found=found.filter(fitting))
    if ids is None:
        return found.filter(_fitting(query, vendor, many=True))
    return found.filter(pk__in=ids) if ids else _mistaken(found, query)


def _few(*, found: Found) -> list[int] | None:
    """The ids of ``found``, None when there are more than ``FEW``.

    With an order and a limit PostgreSQL goes through a table in that order and hopes to meet some soon, which takes
    long where there are none. So it is asked first without either.
    """
    ids = [pk for (pk,) in some(found=found, columns=["pk"], limit=FEW)]
    return ids if len(ids) <= FEW else None


def sample(*, found: Found, query: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """As ``some`` up to ``COUNTED``, of those that the query finds."""
    fitting = _fitting(query, _vendor(found))
    if fitting is None:
        return []
    rows = some(found=found.filter(fitting), columns=columns, limit=COUNTED)
    return rows or some(found=_mistaken(found, query), columns=columns, limit=COUNTED)


def some(*, found: Found, columns: Sequence[str], limit: int) -> list[tuple[Any, ...]]:
    """These columns of up to ``limit`` of ``found``, in no order, and of one more if there are more."""
    rows = found.order_by().values_list(*columns)
    return list(rows[: limit + 1]) if _vendor(found) != "postgresql" else _first(rows, limit + 1)


def _first(rows: QuerySet[Product, Any], limit: int, *, by: Sequence[int] = (), down: bool = False) -> list[Any]:
    """Up to ``limit`` of the rows, all of which PostgreSQL finds before it sorts them by these columns."""
    query = rows.query.clone()
    query.clear_limits()
    query.clear_ordering(force=True)
    try:
        sql, parameters = query.get_compiler(using=rows.db).as_sql()
    except EmptyResultSet:
        return []
    order = f" ORDER BY {', '.join(f'{column} DESC' if down else str(column) for column in by)}" if by else ""
    with connections[rows.db].cursor() as cursor:
        cursor.execute(f"WITH f AS MATERIALIZED ({sql}) SELECT * FROM f{order} LIMIT {limit}", parameters)  # noqa: S608
        return list(cursor.fetchall())


def named(*, found: Found, name: str, many: bool = False) -> Found:
    """Those of whose name this is a part. One that is too short for an index is the beginning of a word, or a sign.

    ``many``: they are known to be no few.
    """
    part, vendor = words.plain(name), _vendor(found)
    if len(part) >= words.PART:
        return found.filter(_part([part], vendor, many=many))
    beginning = words.begins_word(part)
    return found.filter(_having([beginning], vendor, many=many) if beginning else Q(plain_name__contains=part))


def learn(vocabulary: Iterable[str]) -> None:
    """Remember words for which others may be typed by mistake."""
    _add_words([word_row(word) for word in sorted(set(vocabulary))])


def word_row(word: str) -> Word:
    return Word(word=word, head=word[:2], tail=word[-2:], length=len(word))


# -- pages ------------------------------------------------------------------------------------------------------------


def _within(found: Found, rank: Rank, paging: Paging) -> Found | None:
    """Those that may be beyond the row beside the page; None where nothing of the rank can be."""
    if paging.after is None:
        return found
    place, pk = paging.after
    if rank == place:
        return found.filter(pk__gt=pk) if paging.backwards else found.filter(pk__lt=pk)
    return found if (rank > place) == paging.backwards else None


def _begins_with_mistakes(paging: Paging, places: Sequence[tuple[int, int]]) -> bool:
    """Whether the list is of products that fit but for mistakes: it is where no other is in it."""
    return not places if paging.after is None else paging.after[0] == Rank.MISTAKE


def _at_once(found: Found, query: str, limit: int) -> list[tuple[int, int]] | None:
    """The first places of all ranks but that of mistakes, by one statement on PostgreSQL. None where it is not enough,
    for a rank has more than ``AT_ONCE``. A rank is only read while those before it do not fill the page."""
    matches, names = words.matches(query), words.parts(query)
    if not matches:
        return None
    template, common = found.filter(_sql("\0")).order_by().values("pk").query.get_compiler(using=found.db).as_sql()
    like = connections[found.db].ops.prep_for_like_query
    filled, tables, places, parameters = "0", [], [], []
    better: list[Match] = []
    for rank in sorted({*matches, Rank.PART} if names else matches, reverse=True):
        own = [matches[rank]] if rank in matches else []
        asked = [(sign, any_of) for sign, any_of in (("", own), ("NOT ", better)) if any_of]
        conditions = [f'{sign}"catalog_product"."terms" @@ %s::tsquery' for sign, _ in asked]
        parameters += [*common, *(_expression(any_of, _TSQUERY) for _, any_of in asked)]
        if names and rank in (Rank.PART, Rank.ANYWHERE):
            having = " AND ".join(['"catalog_product"."plain_name" LIKE %s'] * len(names))
            conditions.append(having if rank == Rank.PART else f"NOT ({having})")
            parameters += [f"%{like(name)}%" for name in names]
        table, count = f"r{rank.value}", f"(SELECT count(*) FROM r{rank.value})"  # noqa: S608
        sql = template.replace("\0", f"{' AND '.join(conditions)} AND {filled} < {limit}")
        tables.append(f"{table} AS MATERIALIZED ({sql} LIMIT {AT_ONCE + 1})")
        places.append(f"(SELECT {rank.value}, pk, {count} FROM {table} ORDER BY pk DESC LIMIT {limit})")  # noqa: S608
        filled += f" + {count}"
        better += own
    with connections[found.db].cursor() as cursor:
        cursor.execute(f"WITH {', '.join(tables)} {' UNION ALL '.join(places)}", parameters)
        rows = sorted(cursor.fetchall(), reverse=True)
    return None if any(units > AT_ONCE for *_, units in rows) else [(rank, pk) for rank, pk, _ in rows[:limit]]


def _which(ranks: Mapping[Rank, Q]) -> Case:
    """The rank of which a product is."""
    return Case(*(When(condition, then=Value(rank.value)) for rank, condition in ranks.items()))


def _by_rank(rows: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for pk, rank in rows:
        found[rank].append(pk)
    return found


class _Ahead:
    """The newest products of each rank on PostgreSQL, however many match."""

    def __init__(self, found: Found, query: str, *, down: bool) -> None:
        self._found, self._query, self._down = found, query, down
        self._conditions = _conditions(query, "postgresql", many=True)
        self._seen: dict[int | None, dict[int, list[int]]] = {}
        self._few: list[dict[int, list[int]] | None] = []  # once it is asked

    def newest(self, matching: Found, rank: Rank, *, start: int | None, limit: int) -> list[int]:
        """``matching``: those of the rank behind ``start``."""

        def near() -> list[int]:
            return self._near(start).get(rank, [])[:limit] if rank <= Rank.NAME else []

        def some() -> list[int] | None:
            if sum(map(len, self._near(start).values())) > _SOME or (ranked := self._ranked()) is None:
                return _few(found=matching)
            found = ranked.get(rank, [])
            return found if start is None else [pk for pk in found if (pk < start) == self._down and pk != start]

        frequent = self._found.filter(self._conditions[rank])
        return self.first(matching, frequent, start=start, limit=limit, near=near, few=some)

    def first(
        self,
        matching: Found,
        frequent: Found,
        *,
        start: int | None,
        limit: int,
        near: Callable[[], list[int]] | None = None,
        few: Callable[[], list[int] | None] | None = None,
    ) -> list[int]:
        """``matching``: those behind ``start``, by the index. ``frequent``: all of them, without it."""

        def walk(width: int) -> list[int]:
            return _walk(frequent, ahead=self._next(start, width), limit=limit)

        def sort() -> list[int]:
            return [pk for (pk,) in _first(matching.values_list("pk"), limit, by=(1,), down=self._down)]

        ids = _next(walk, near=near, few=few or (lambda: _few(found=matching)), sort=sort, limit=limit, far=FAR)
        return sorted(ids, reverse=self._down)[:limit]

    def _ranked(self) -> dict[int, list[int]] | None:
        """All matches by rank, None where they are no few. It is asked once, where each rank would be."""
        if not self._few:
            fitting = _fitting(self._query, "postgresql")
            found = self._found.filter(fitting) if fitting is not None else self._found.none()
            rows = _first(found.annotate(place=_which(self._conditions)).values_list("pk", "place"), FEW + 1)
            self._few.append(_by_rank(rows) if len(rows) <= FEW else None)
        return self._few[0]

    def _near(self, start: int | None) -> dict[int, list[int]]:
        """By rank, the matches among the next products."""
        if start not in self._seen:
            ranks = {rank: condition for rank, condition in self._conditions.items() if rank <= Rank.NAME}
            near = self._found.filter(pk__in=self._next(start, NEAR).values("pk"))
            rows = near.annotate(place=_which(ranks)).exclude(place=None)
            self._seen[start] = _by_rank(rows.order_by("-pk" if self._down else "pk").values_list("pk", "place"))
        return self._seen[start]

    def _next(self, start: int | None, width: int) -> Found:
        rows = Product.objects.order_by("-pk" if self._down else "pk")
        if start is not None:
            rows = rows.filter(pk__lt=start) if self._down else rows.filter(pk__gt=start)
        return rows[:width]


def _next(
    walk: Callable[[int], list[int]],
    *,
    near: Callable[[], list[int]] | None = None,
    few: Callable[[], list[int] | None],
    sort: Callable[[], list[int]],
    limit: int,
    far: int,
) -> list[int]:
    """On PostgreSQL the ids of the first ``limit`` that match, in whatever order, and maybe of more.

    1. The next products of the list are looked through, without an index: of what one in a hundred matches, that is
       a page.
    2. If some match there, so many more are looked through as should have a page.
    3. The index is asked for a few. If that is all, they will do.
    4. Else matches are frequent, and more products are looked through.
    5. They all come late in the list. All that match are sorted.
    """
    seen = near() if near else walk(NEAR)
    if len(seen) >= limit:
        return seen
    if len(seen) >= _SOME and far > NEAR:
        wider = walk(min(2 * NEAR * limit // len(seen), far))
        if len(wider) >= limit:
            return wider
    if (ids := few()) is not None:
        return ids
    if far > NEAR and len(wider := walk(far)) >= limit:
        return wider
    return sort()


def _walk(found: Found, *, ahead: Found, limit: int) -> list[int]:
    """The first of the products ``ahead`` that are found, until there are enough. Django filters nothing that is sliced
    already, so that their rows take the table's place in its text."""
    try:
        inner, inner_parameters = ahead.query.get_compiler(using=found.db).as_sql()
        sql, parameters = found.order_by().values_list("pk").query.get_compiler(using=found.db).as_sql()
    except EmptyResultSet:
        return []
    chosen, table, where = sql.partition(' FROM "catalog_product"')
    assert table and "%s" not in chosen
    with connections[found.db].cursor() as cursor:
        sql = f'{chosen} FROM ({inner}) AS "catalog_product"{where} LIMIT {limit}'
        cursor.execute(sql, [*inner_parameters, *parameters])
        return [pk for (pk,) in cursor.fetchall()]


def _newest(found: Found, *, limit: int, down: bool) -> list[int]:
    if _vendor(found) == "postgresql" and (ids := _few(found=found)) is not None:
        return sorted(ids, reverse=down)[:limit]
    return list(found.order_by("-pk" if down else "pk").values_list("pk", flat=True)[:limit])


def _mistaken(found: Found, query: str) -> Found:
    match = _mistake(query)
    return found.filter(_having([match], _vendor(found))) if match else found.none()


def _mistake(query: str) -> Match | None:
    """What ``Rank.MISTAKE`` asks; None where no word is known that may be meant."""
    meant = {word: _meant(word) for word in words.mistaken(query)}
    return words.corrected(query, meant) if any(meant.values()) else None


def _meant(word: str) -> list[str]:
    """Words that are one mistake away. Each has the first or the last two letters of this one, or, of four letters, the
    two in the middle exchanged."""
    alike = Q(head=word[:2]) | Q(tail=word[-2:]) | Q(word=word[0] + word[2] + word[1] + word[3:])
    near = Word.objects.filter(alike, length__range=(len(word) - 1, len(word) + 1))
    return sorted(other for other in near.values_list("word", flat=True)[:_ALIKE] if words.one_mistake(word, other))[
        :_MEANT
    ]


# -- conditions -------------------------------------------------------------------------------------------------------


def _conditions(query: str, vendor: str, *, many: bool = False) -> dict[Rank, Q]:
    """What the ranks ask, the best first; each leaves out what a better one has. ``many`` as in ``_having``."""
    matches, part = words.matches(query), _part_of(query, vendor, many=many)
    if not matches:
        return {Rank.PART: part} if part else {}
    found: dict[Rank, Q] = {}
    better: list[Match] = []
    for rank in sorted({*matches, Rank.PART} if part else matches, reverse=True):
        condition = part if part and rank == Rank.PART else _having([matches[rank]], vendor, many=many)
        found[rank] = condition & ~_having(better, vendor) if better else condition
        if part and rank == Rank.ANYWHERE:
            found[rank] &= ~part
        better += [matches[rank]] if rank in matches else []
    return found


def _fitting(query: str, vendor: str, *, many: bool = False) -> Q | None:
    """What any of the ranks asks. ``many`` as in ``_having``."""
    matches, part = words.matches(query), _part_of(query, vendor, many=many)
    if not matches:
        return part
    having = _having([matches[Rank.KEY], matches[Rank.ANYWHERE]], vendor, many=many)
    return having | part if part else having


def _part_of(query: str, vendor: str, *, many: bool = False) -> Q | None:
    """What ``Rank.PART`` asks, of a query of signs too; None where it asks nothing."""
    parts = words.parts(query)
    if parts:
        return _part(parts, vendor, many=many)
    signs = [] if words.matches(query) else words.plain(query).split()
    return reduce(and_, (Q(plain_name__contains=sign) for sign in signs)) if signs else None


def _having(any_of: Sequence[Match], vendor: str, *, many: bool = False) -> Q:
    """``many``: not by the index, in which many are found before the first is sorted."""
    if vendor == "postgresql":
        asked = '"catalog_product"."terms" @@ %s::tsquery'
        return _sql(f"({asked}) IS TRUE" if many else asked, _expression(any_of, _TSQUERY))
    if vendor == "sqlite":
        return _listed("catalog_terms", _expression(any_of, _FTS5), many=many)
    return reduce(or_, (reduce(and_, map(_one_of, match)) for match in any_of))


def _one_of(terms: Sequence[words.Term]) -> Q:
    return reduce(or_, (Q(terms__contains=f" {term.text}{'' if term.begins else ' '}") for term in terms))


_TSQUERY = {"whole": "'{}'", "begins": "'{}':*", "and": " & ", "or": " | "}
_FTS5 = {"whole": '"{}"', "begins": '"{}"*', "and": " AND ", "or": " OR "}


def _expression(any_of: Sequence[Match], signs: Mapping[str, str]) -> str:
    """In the engine's language. Terms are letters and digits only, so that nothing in them can be a sign."""

    def joined(sign: str, parts: Iterable[str]) -> str:
        return f"({signs[sign].join(parts)})"

    def term(one: words.Term) -> str:
        return signs["begins" if one.begins else "whole"].format(one.text)

    return joined("or", (joined("and", (joined("or", map(term, terms)) for terms in match)) for match in any_of))


def _part(parts: Sequence[str], vendor: str, *, many: bool = False) -> Q:
    """Names with all these parts, of three characters or more."""
    if vendor == "postgresql" and many:
        likes = (f"%{connections['catalog'].ops.prep_for_like_query(part)}%" for part in parts)
        return reduce(and_, (_sql('("catalog_product"."plain_name" LIKE %s) IS TRUE', like) for like in likes))
    if vendor != "sqlite":
        return reduce(and_, (Q(plain_name__contains=part) for part in parts))
    asked = " AND ".join('"{}"'.format(part.replace('"', '""')) for part in parts)
    return _listed("catalog_names", asked, many=many)


def _listed(index: str, asked: str, *, many: bool) -> Q:
    """By an index of SQLite. It sorts all that are listed; the plus lets it go through the table in its order instead,
    and look each up in the list, which is better where there are ``many``."""
    plus = "+" if many else ""
    return _sql(f'{plus}"catalog_product"."id" IN (SELECT rowid FROM {index} WHERE {index} MATCH %s)', asked)  # noqa: S608


def _sql(sql: str, *parameters: str) -> Q:
    return Q(RawSQL(sql, parameters, output_field=BooleanField()))  # noqa: S611


def _vendor(found: Found) -> str:
    return connections[found.db].vendor


# -- indexes ----------------------------------------------------------------------------------------------------------

_ON_POSTGRESQL = {
    "catalog_product_terms": "USING gin (terms)",
    "catalog_product_name_parts": "USING gin (plain_name gin_trgm_ops)",
}
_ON_SQLITE = {  # the table of each index, with the column that it follows
    "catalog_terms": ("terms", "tokenize='ascii', prefix='3 4', detail=none, columnsize=0"),
    "catalog_names": ("plain_name", "tokenize='trigram case_sensitive 1', columnsize=0"),
}


def install(*, using: str, **signal: Any) -> None:
    """After migrations: make the indexes that are not there yet, without keeping writers waiting."""
    if not router.allow_migrate_model(using, Product):
        return
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
            if cursor.fetchone() is None:
                cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            for name, about in _ON_POSTGRESQL.items():
                cursor.execute("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid", [name])
                if cursor.fetchone():  # its making was cut off
                    cursor.execute(f"DROP INDEX {name}")
                at_once = "" if connection.in_atomic_block else "CONCURRENTLY"
                cursor.execute(f"CREATE INDEX {at_once} IF NOT EXISTS {name} ON catalog_product {about}")
        if connection.vendor == "sqlite":
            for name, (column, about) in _ON_SQLITE.items():
                triggers = _triggers(name, column)
                cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'catalog_product'")
                if set(triggers) <= {row[0] for row in cursor.fetchall()}:
                    continue
                cursor.execute(f"DROP TABLE IF EXISTS {name}")
                kept = f"{column}, content='catalog_product', content_rowid='id', {about}"
                cursor.execute(f"CREATE VIRTUAL TABLE {name} USING fts5({kept})")
                for trigger, does in triggers.items():
                    cursor.execute(f"DROP TRIGGER IF EXISTS {trigger}")
                    cursor.execute(f"CREATE TRIGGER {trigger} {does}")
                cursor.execute(f"INSERT INTO {name}({name}) VALUES ('rebuild')")  # noqa: S608


def _triggers(name: str, column: str) -> dict[str, str]:
    add = f"INSERT INTO {name}(rowid, {column}) VALUES (new.id, new.{column});"  # noqa: S608
    remove = f"INSERT INTO {name}({name}, rowid, {column}) VALUES ('delete', old.id, old.{column});"  # noqa: S608
    return {
        f"{name}_added": f"AFTER INSERT ON catalog_product BEGIN {add} END",
        f"{name}_removed": f"AFTER DELETE ON catalog_product BEGIN {remove} END",
        f"{name}_changed": f"AFTER UPDATE OF {column} ON catalog_product WHEN old.{column} IS NOT new.{column} "
        f"BEGIN {remove} {add} END",
    }
