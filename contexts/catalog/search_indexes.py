"""The indexes of the engines: how they are made, and how they are asked.

A product's terms are a tsvector with a GIN index on PostgreSQL, and a text with an FTS5 index on SQLite. Parts of names
are found by their trigrams: by pg_trgm there, by FTS5 here. The words of the terms, of which a query may have the
beginning, are listed beside the index on PostgreSQL (``catalog_term``), and by FTS5 itself here. Django has no words
for those. All values are parameters; what is put together into SQL is written in this file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db import connections, router
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from contexts.catalog.models import Product
from contexts.catalog.words import LISTED, Match, Term

LAST = "\U0010ffff"  # no character is after it
_TERMS = "catalog_terms_listed"
_LONGER = 4  # terms that begin with one, to look for these instead


def having(any_of: Sequence[Match], vendor: str, *, many: bool = False) -> Q:
    """``many``: not by the index, in which many are found before the first is sorted."""
    if vendor == "postgresql":
        asked = '"catalog_product"."terms" @@ %s::tsquery'
        return _sql(f"({asked}) IS TRUE" if many else asked, _expression(any_of, _TSQUERY))
    if vendor == "sqlite":
        return _listed("catalog_terms", _expression(any_of, _FTS5), many=many)
    return reduce(or_, (reduce(and_, map(_one_of, match)) for match in any_of))


def _one_of(terms: Sequence[Term]) -> Q:
    return reduce(or_, (Q(terms__contains=f" {term.text}{'' if term.begins else ' '}") for term in terms))


_TSQUERY = {"whole": "'{}'", "begins": "'{}':*", "and": " & ", "or": " | "}
_FTS5 = {"whole": '"{}"', "begins": '"{}"*', "and": " AND ", "or": " OR "}


def _expression(any_of: Sequence[Match], signs: Mapping[str, str]) -> str:
    """In the engine's language. Terms are letters and digits only, so that nothing in them can be a sign."""

    def joined(sign: str, parts: Iterable[str]) -> str:
        return f"({signs[sign].join(parts)})"

    def term(one: Term) -> str:
        return signs["begins" if one.begins else "whole"].format(one.text)

    return joined("or", (joined("and", (joined("or", map(term, terms)) for terms in match)) for match in any_of))


def tsquery(match: Match) -> str:
    return _expression([match], _TSQUERY)


def part(parts: Sequence[str], vendor: str, *, many: bool = False) -> Q:
    """Names with all these parts, of three characters or more."""
    if not parts:
        return Q()
    if vendor == "postgresql" and many:
        likes = (f"%{connections['catalog'].ops.prep_for_like_query(one)}%" for one in parts)
        return reduce(and_, (_sql('("catalog_product"."plain_name" LIKE %s) IS TRUE', like) for like in likes))
    if vendor != "sqlite" or many:
        return reduce(and_, (Q(plain_name__contains=one) for one in parts))
    asked = " AND ".join('"{}"'.format(one.replace('"', '""')) for one in parts)
    return _listed("catalog_names", asked)


def beginning_so(texts: Collection[str], using: str) -> dict[str, list[Term]]:
    """On SQLite, for each beginning those terms that begin so, where they are few.

    FTS5 skips in lists of whole terms, and reads those of a beginning to their ends.
    """
    if not texts:
        return {}
    begin = f"SELECT * FROM (SELECT %s, term FROM {_TERMS} WHERE term >= %s AND term < %s LIMIT {_LONGER + 1})"  # noqa: S608
    found: dict[str, list[Term]] = {text: [] for text in texts}
    with connections[using].cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join([begin] * len(found)), [one for text in found for one in (text, text, text + LAST)]
        )
        for text, term in cursor.fetchall():
            found[text].append(Term(text=term))
    return {text: terms or [Term(text=text)] for text, terms in found.items() if len(terms) <= _LONGER}


def _listed(index: str, asked: str, *, many: bool = False) -> Q:
    """By an index of SQLite. It sorts all that are listed; the plus lets it go through the table in its order instead,
    and look each up in the list, which is better where there are ``many``."""
    plus = "+" if many else ""
    return _sql(f'{plus}"catalog_product"."id" IN (SELECT rowid FROM {index} WHERE {index} MATCH %s)', asked)  # noqa: S608


def _sql(sql: str, *parameters: str) -> Q:
    return Q(RawSQL(sql, parameters, output_field=BooleanField()))  # noqa: S611


# -- indexes ----------------------------------------------------------------------------------------------------------

_ON_POSTGRESQL = {
    "catalog_product_terms": "catalog_product USING gin (terms)",
    "catalog_product_name_parts": "catalog_product USING gin (plain_name gin_trgm_ops)",
    "catalog_word_parts": "catalog_word USING gin (word gin_trgm_ops)",
}
# Whoever writes a product, also a release before, lists its words. Nobody waits for another who lists the same: a word
# may be there twice. Each is looked up: PostgreSQL would rather read the whole list.
_LIST = f"""
INSERT INTO catalog_term (word)
SELECT word FROM (
  SELECT DISTINCT substr(term, 2) COLLATE "C" AS word FROM {{terms}} AS term WHERE term ~ '{LISTED}'
) AS found
WHERE (SELECT TRUE FROM catalog_term AS listed WHERE listed.word = found.word LIMIT 1) IS NULL
"""  # noqa: S608
_LISTED_BY = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  {does};
  RETURN NULL;
END $$;
CREATE TRIGGER {name} AFTER {when} EXECUTE FUNCTION {name}()
"""
_LISTS = {
    "catalog_term_added": (
        "INSERT ON catalog_product REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        "added, unnest(tsvector_to_array(added.terms))",
    ),
    "catalog_term_changed": (
        "UPDATE OF terms ON catalog_product FOR EACH ROW WHEN (OLD.terms IS DISTINCT FROM NEW.terms)",
        "unnest(tsvector_to_array(NEW.terms))",
    ),
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
                cursor.execute(f"CREATE INDEX {at_once} IF NOT EXISTS {name} ON {about}")
            _list_terms(cursor)
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
            cursor.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS {_TERMS} USING fts5vocab('catalog_terms', 'row')")


def _list_terms(cursor: Any) -> None:
    """List the words of the products that there are, and from now on those of every product that is written. A comment
    says that all are listed."""
    cursor.execute("SELECT to_regclass('catalog_term'), obj_description(to_regclass('catalog_term'), 'pg_class')")
    table, is_complete = cursor.fetchone()
    if table is None:
        made = ['CREATE TABLE catalog_term (word text COLLATE "C" NOT NULL)']
        made += ["CREATE INDEX catalog_term_word ON catalog_term (word)"]
        made += [
            _LISTED_BY.format(name=name, when=when, does=_LIST.format(terms=terms))
            for name, (when, terms) in _LISTS.items()
        ]
        cursor.execute(";".join(made))  # at once: all or nothing is there
    if not is_complete:
        cursor.execute(_LIST.format(terms="catalog_product, unnest(tsvector_to_array(terms))"))
        cursor.execute("COMMENT ON TABLE catalog_term IS 'complete'")
        cursor.execute("ANALYZE catalog_term")


def _triggers(name: str, column: str) -> dict[str, str]:
    add = f"INSERT INTO {name}(rowid, {column}) VALUES (new.id, new.{column});"  # noqa: S608
    remove = f"INSERT INTO {name}({name}, rowid, {column}) VALUES ('delete', old.id, old.{column});"  # noqa: S608
    return {
        f"{name}_added": f"AFTER INSERT ON catalog_product BEGIN {add} END",
        f"{name}_removed": f"AFTER DELETE ON catalog_product BEGIN {remove} END",
        f"{name}_changed": f"AFTER UPDATE OF {column} ON catalog_product WHEN old.{column} IS NOT new.{column} "
        f"BEGIN {remove} {add} END",
    }
