"""How many products each category has, on sale and off sale, without counting them.

PostgreSQL and SQLite keep it in rows beside the products, each so many products more or fewer: the sum counts. Triggers
write them, whoever writes a product, also a release before; as they only add rows, no writer waits for another. Beat
adds up what has gathered. Other engines count the products themselves.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import connections, router
from django.db.models import Count, Q, QuerySet, Sum

from contexts.catalog.models import CategoryCount, Product
from eci.db import locked, writes
from eci.paging import Paging
from eci.statements.texts import databases

STEP = 1_000  # rows that are added up in one transaction
KEEPING = ("postgresql", "sqlite")


def page(*, paging: Paging, include_inactive: bool) -> list[dict[str, Any]]:
    """As ``selectors.categories``. A category's label is the least of its spellings by their code points, the same on
    any engine."""
    is_kept = connections[databases.db_for_read(Product)].vendor in KEEPING
    rows: QuerySet[Any, Any] = CategoryCount.objects.all() if is_kept else Product.objects.all()
    units: Sum | Count = Sum("products") if is_kept else Count("*")
    rows = rows.exclude(category_key="")
    if not include_inactive:
        rows = rows.filter(is_active=True)
    has_some = rows.values("category_key").annotate(units=units).filter(units__gt=0)
    shown = paging.of(has_some, pk="category_key").values_list("category_key", flat=True)
    keys = shown if is_kept else list(shown)  # MySQL knows no LIMIT within
    spelled = rows.filter(category_key__in=keys).values("category_key", "category").annotate(units=units)
    down = "-" if paging.descending != paging.backwards else ""
    found = []
    for key, spellings in groupby(
        spelled.filter(units__gt=0).order_by(f"{down}category_key"), itemgetter("category_key")
    ):
        of_key = list(spellings)
        label = min(row["category"] for row in of_key)
        found.append({"category_key": key, "label": label, "product_count": sum(row["units"] for row in of_key)})
    return found


# -- what has gathered ------------------------------------------------------------------------------------------------
def add_up() -> None:
    """Make one row of all that say something of the same spelling."""
    if connections[databases.db_for_write(Product)].vendor not in KEEPING:
        return
    alike = CategoryCount.objects.values("category_key", "category", "is_active")
    gathered = alike.annotate(rows=Count("pk"), units=Sum("products")).filter(Q(rows__gt=1) | Q(units=0))
    for key in {row["category_key"] for row in gathered}:
        while _add_up(key=key):
            pass


@writes("catalog")
def _add_up(*, key: str) -> bool:
    """Whether there are more. Only what was read is deleted: others may have added some meanwhile."""
    rows = list(locked(CategoryCount.objects.filter(category_key=key).order_by("pk"))[:STEP])
    sums: Counter[tuple[str, bool]] = Counter()
    for row in rows:
        sums[row.category, row.is_active] += row.products
    left = [
        CategoryCount(category_key=key, category=category, is_active=is_active, products=products)
        for (category, is_active), products in sums.items()
        if products
    ]
    if len(left) == len(rows):
        return False
    CategoryCount.objects.filter(pk__in=[row.pk for row in rows]).delete()
    CategoryCount.objects.bulk_create(left)
    return len(rows) == STEP


# -- table and triggers -----------------------------------------------------------------------------------------------
_KIND = "category_key, category, is_active"
_NEW, _OLD = (", ".join(f"{row}.{column}" for column in _KIND.split(", ")) for row in ("new", "old"))
_ADD = f"INSERT INTO catalog_categorycount ({_KIND}, products)"
_MOVE = f"{_ADD} VALUES ({_OLD}, -1), ({_NEW}, 1)"
_TAKE = f"{_ADD} VALUES ({_OLD}, -1)"
_FUNCTION = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  {does};
  RETURN NULL;
END $$
"""
_ON_POSTGRESQL = {
    "catalog_category_added": (
        "INSERT ON catalog_product REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        f"{_ADD} SELECT {_KIND}, count(*) FROM added GROUP BY {_KIND}",  # noqa: S608 - columns of this file
    ),
    "catalog_category_changed": (
        f"UPDATE OF {_KIND} ON catalog_product FOR EACH ROW WHEN (({_OLD}) IS DISTINCT FROM ({_NEW}))",
        _MOVE,
    ),
    "catalog_category_removed": ("DELETE ON catalog_product FOR EACH ROW", _TAKE),
    "catalog_category_emptied": ("TRUNCATE ON catalog_product FOR EACH STATEMENT", "DELETE FROM catalog_categorycount"),
}
_ON_SQLITE = {
    "catalog_category_added": ("INSERT ON catalog_product", f"{_ADD} VALUES ({_NEW}, 1)"),
    "catalog_category_changed": (f"UPDATE OF {_KIND} ON catalog_product WHEN ({_OLD}) IS NOT ({_NEW})", _MOVE),
    "catalog_category_removed": ("DELETE ON catalog_product", _TAKE),
}


def install(*, using: str, **signal: Any) -> None:
    """After migrations: make what is not there yet, and count once. Who writes products waits meanwhile, a second for a
    million of them."""
    connection = connections[using]
    table = CategoryCount._meta.db_table
    if not router.allow_migrate_model(using, Product) or connection.vendor not in KEEPING:
        return
    if table in connection.introspection.table_names():
        return
    with connection.schema_editor() as editor:  # all of it or nothing
        editor.create_model(CategoryCount)
        if connection.vendor == "postgresql":
            for name, (when, does) in _ON_POSTGRESQL.items():
                editor.execute(_FUNCTION.format(name=name, does=does))
                editor.execute(f"CREATE TRIGGER {name} AFTER {when} EXECUTE FUNCTION {name}()")
        else:
            for name, (when, does) in _ON_SQLITE.items():
                editor.execute(f"CREATE TRIGGER {name} AFTER {when} BEGIN {does}; END")
        editor.execute(f"{_ADD} SELECT {_KIND}, count(*) FROM catalog_product GROUP BY {_KIND}")  # noqa: S608
