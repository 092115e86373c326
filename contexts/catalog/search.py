"""Finding products: what ``words`` asks of their terms, asked of the indexes of the engine (``search_indexes``).

A product has one rank, and within a rank the newest comes first. So a page needs the first products of few ranks, a
cursor is a rank and an id, and both engines give the same answer. On PostgreSQL, which has the large catalogs,
``search_postgresql`` finds it; here is the plain way, which is right for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial, reduce
from operator import and_, or_
from typing import Any

from django.db import connections
from django.db.models import Q, QuerySet

from contexts.catalog import search_postgresql, words
from contexts.catalog.models import Product, Word
from contexts.catalog.search_indexes import beginning_so, having, part
from contexts.catalog.search_postgresql import Search
from contexts.catalog.words import SKU, Asked, Match, Rank, Term
from eci.paging import Paging
from eci.statements import Inserts
from eci.statements.texts import databases, fetched, run

FEW = 1_000  # ids that a statement names
COUNTED = 1_000  # products of which facets are counted
AHEAD = 500  # products that are looked at before an index is asked, which lists all that match
_NO_INDEX = ""  # in place of an engine
_SHORT = 4  # characters of a term, its place included, with which too many others begin
_MEANT = 20  # words for which one may have been mistaken
_ALIKE = 10_000  # words that are compared with it
# The text is written here because a prepared queryset has no patterns, and the ORM makes it anew for each word.
_NEAR = f"""
SELECT word FROM catalog_word WHERE length BETWEEN %s AND %s
AND (head = %s AND word LIKE %s OR tail = %s AND word LIKE %s OR word = %s) LIMIT {_ALIKE}
"""  # noqa: S608

Found = QuerySet[Product]
_add_words = Inserts(Word, once=True)


def page(*, found: Found, query: str, paging: Paging, category: str = "") -> list[tuple[int, int]]:
    """Rank and id of the page's products, in the order of reading, and one more if the list goes on after them.

    ``category``: the one that all of ``found`` are of.
    """
    asked = _asked(query, found)
    if not asked:
        return []
    on_engine = _page_on_postgresql if _vendor(found) == "postgresql" else _page
    read = partial(on_engine, category=words.of_category(category))
    after = paging.after[0] if paging.after else None
    places = read(found, asked, paging) if after != Rank.MISTAKE else []
    if not places and after in (None, Rank.MISTAKE) and (mistake := _mistake(query)):  # it is where no other is
        return read(found, mistake, paging)
    return places


def _page_on_postgresql(found: Found, asked: Asked, paging: Paging, category: Match) -> list[tuple[int, int]]:
    return Search(found, asked, category).page(paging)


def _page(found: Found, asked: Asked, paging: Paging, category: Match) -> list[tuple[int, int]]:
    """Rank by rank, until it is full. What better ranks have is left out by asking for them too, unless the page has
    it all."""
    places: list[tuple[int, int]] = []
    ranks = _conditions(asked, category, _vendor(found))
    asked_for = set(ranks)
    for rank in sorted(ranks, reverse=not paging.backwards):
        missing = paging.limit + 1 - len(places)
        within = _within(found, rank, paging)
        if not missing or within is None:
            continue
        better = [ranks[other] for other in asked_for if other > rank]
        fitting = within.filter(ranks[rank]).exclude(pk__in=[pk for _, pk in places])
        if better:
            fitting = fitting.exclude(reduce(or_, better))
        newest = fitting.order_by("pk" if paging.backwards else "-pk")
        places += [(rank.value, pk) for pk in newest.values_list("pk", flat=True)[:missing]]
        if not paging.backwards and (paging.after is None or rank < paging.after[0]):
            asked_for.remove(rank)
    return places


def ordered(*, find: Callable[[bool], Found], query: str, paging: Paging) -> list[int]:
    """The ids of the page's products in another order, that of ``paging``, and one more if the list goes on after them.

    ``find``: the products, given whether they are known to be no few. With a ``query`` those of them that it finds.
    """
    looked_at = find(True)
    vendor, asked = _vendor(looked_at), _asked(query, looked_at)
    if query and not asked:
        return []
    if vendor == "postgresql":
        ids = Search(looked_at, asked).ordered(paging, by_index=lambda: find(False))
        if not ids and query and (mistake := _mistake(query)):
            ids = Search(looked_at, mistake).ordered(paging, by_index=lambda: find(False))
        return ids
    ahead = replace(paging, limit=AHEAD).of(Product.objects.values("pk"))
    fitting = looked_at.filter(_fitting(asked, _NO_INDEX), pk__in=ahead)
    first = paging.slice(fitting.values_list("pk", flat=True))
    if len(first) > paging.limit:
        return first
    found = find(False)
    few = _few(found=found.filter(_fitting(asked, vendor)))
    if few is None:
        found = looked_at.filter(_fitting(asked, vendor, many=True))
    elif few or not query:
        found = Product.objects.filter(pk__in=few)
    else:
        found = _mistaken(found, query)
    return paging.slice(found.values_list("pk", flat=True))


def everything(*, found: Found, query: str) -> Found:
    """All of ``found`` that the query finds, for another order; narrowed to their ids where they are few."""
    vendor, asked = _vendor(found), _asked(query, found)
    if not asked:
        return found.none()
    ids = _few(found=found.filter(_fitting(asked, vendor)))
    if ids is None:
        return found.filter(_fitting(asked, vendor, many=True))
    return found.filter(pk__in=ids) if ids else _mistaken(found, query)


def _few(*, found: Found) -> list[int] | None:
    """The ids of ``found``, None when there are more than ``FEW``."""
    ids = list(found.order_by().values_list("pk", flat=True)[: FEW + 1])
    return ids if len(ids) <= FEW else None


def some(*, found: Found, query: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """These columns of the newest ``COUNTED`` products that the query finds, and of one more if there are more.

    Without a query it finds all.
    """
    asked = _asked(query, found)
    if query and not asked:
        return []
    rows = _some(found, asked, columns)
    return rows if rows or not (query and (mistake := _mistake(query))) else _some(found, mistake, columns)


def _some(found: Found, asked: Asked, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    if _vendor(found) == "postgresql":
        return Search(found, asked).some(columns, COUNTED + 1)
    newest = found.filter(_fitting(asked, _vendor(found))).order_by("-pk")
    return list(newest.values_list(*columns)[: COUNTED + 1])


def named(*, found: Found, name: str, many: bool = False) -> Found:
    """Those of whose name this is a part. One that is too short for an index is the beginning of a word, or a sign.

    ``many``: they are known to be no few.
    """
    plain, vendor = words.plain(name), _vendor(found)
    if len(plain) >= words.PART:
        of_words = search_postgresql.named(plain, found.db) if vendor == "postgresql" and not many else None
        return found.filter(part([plain], vendor, many=many or of_words is not None), of_words or Q())
    beginning = words.begins_word(plain)
    return found.filter(having([beginning], vendor, many=many) if beginning else Q(plain_name__contains=plain))


def learn(vocabulary: Iterable[str]) -> None:
    """Remember words for which others may be typed by mistake, or of which a part may be looked for."""
    _add_words([word_row(word) for word in sorted(set(vocabulary))])


def word_row(word: str) -> Word:
    head, tail = (word[:2], word[-2:]) if words.may_be_mistaken(word) else ("", "")
    return Word(word=word, head=head, tail=tail, length=len(word))


# -- pages ------------------------------------------------------------------------------------------------------------


def _within(found: Found, rank: Rank, paging: Paging) -> Found | None:
    """Those that may be beyond the row beside the page; None where nothing of the rank can be."""
    if paging.after is None:
        return found
    place, pk = paging.after
    if rank == place:
        return found.filter(pk__gt=pk) if paging.backwards else found.filter(pk__lt=pk)
    return found if (rank > place) == paging.backwards else None


def _mistaken(found: Found, query: str) -> Found:
    mistake = _mistake(query)
    return found.filter(_fitting(mistake, _vendor(found))) if mistake else found.none()


def _mistake(query: str) -> Asked | None:
    """What ``Rank.MISTAKE`` asks; None where no word is known that may be meant."""
    meant = {word: _meant(word) for word in words.mistaken(query)}
    return Asked(terms={Rank.MISTAKE: words.corrected(query, meant)}) if any(meant.values()) else None


def _meant(word: str) -> list[str]:
    """Words that are one mistake away. The mistake is in one half of the word, so each has the other half, or, of four
    letters, the two in the middle exchanged."""
    half = len(word) // 2
    halves = (word[:2], f"{word[:half]}%", word[-2:], f"%{word[half + 1 :]}")
    exchanged = word[0] + word[2] + word[1] + word[3:]
    connection = connections[databases.db_for_read(Word)]
    near = run(connection, _NEAR, (len(word) - 1, len(word) + 1, *halves, exchanged), fetched)
    return sorted(other for (other,) in near if words.one_mistake(word, other))[:_MEANT]


# -- terms ------------------------------------------------------------------------------------------------------------


def _asked(query: str, found: Found) -> Asked:
    """What the query asks for. On SQLite beginnings are whole terms wherever few begin so; PostgreSQL has a way of its
    own."""
    asked = words.asked(query) if query else Asked(terms={})
    if _vendor(found) != "sqlite":
        return asked
    terms = {term for match in asked.terms.values() for terms in match for term in terms if term.begins}
    known = beginning_so({term.text for term in terms if len(term.text) > _SHORT and term.text[0] != SKU}, found.db)

    def whole(terms: Sequence[Term]) -> list[Term]:
        return [one for term in terms for one in (known.get(term.text, [term]) if term.begins else [term])]

    return replace(asked, terms={rank: list(map(whole, match)) for rank, match in asked.terms.items()})


# -- conditions -------------------------------------------------------------------------------------------------------


def _conditions(asked: Asked, category: Match, vendor: str) -> dict[Rank, Q]:
    """What the ranks ask of products of the category. What a better one has, a worse one may have too."""
    found = {rank: having([[*match, *category]], vendor) for rank, match in asked.terms.items()}
    return found | {Rank.PART: _part_of(asked.parts, vendor)} if asked.parts else found


def _fitting(asked: Asked, vendor: str, *, many: bool = False) -> Q:
    """What any of the ranks asks. ``many`` as in ``having``."""
    part_of_name = _part_of(asked.parts, vendor, many=many)
    if not asked.terms:
        return part_of_name
    widest = [asked.terms[rank] for rank in (Rank.KEY, Rank.ANYWHERE, Rank.MISTAKE) if rank in asked.terms]
    fitting = having(widest, vendor, many=many)
    return fitting | part_of_name if asked.parts else fitting


def _part_of(parts: Sequence[str], vendor: str, *, many: bool = False) -> Q:
    """Names with all these parts, or signs, which no index knows."""
    if all(len(one) >= words.PART for one in parts):
        return part(parts, vendor, many=many)
    return reduce(and_, (Q(plain_name__contains=one) for one in parts))


def _vendor(found: Found) -> str:
    return connections[found.db].vendor
