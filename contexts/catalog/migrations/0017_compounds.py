from django.db import migrations
from django.db.models import Q

from contexts.catalog import words
from contexts.catalog.services import terms_of
from eci.db import locked, unit_of_work

BATCH = 500
_SIGNS = "-'&\u2018\u2019\u201c\u201d\u2010\u2011\u2013\u2014"


def fill(apps, schema_editor):
    """What is searched of names and categories with such signs is made anew, some at a time. If cut off, it begins again."""
    with_signs = Q()
    for sign in _SIGNS:
        with_signs |= Q(name__contains=sign) | Q(category__contains=sign)
    alias = schema_editor.connection.alias
    todo = apps.get_model("catalog", "Product").objects.using(alias).filter(with_signs).order_by("pk")
    last = 0
    while last is not None:
        with unit_of_work("catalog"):
            last = _fill(todo.filter(pk__gt=last))


def _fill(todo):
    """Returns the last of those it has filled, None when there is none left."""
    chunk = list(locked(todo)[:BATCH])  # else what is written meanwhile would become what it was
    for product in chunk:
        product.plain_name = words.plain(product.name)
        product.terms = terms_of(product=product)
    todo.bulk_update(chunk, ["plain_name", "terms"], batch_size=100)
    return chunk[-1].pk if chunk else None


class Migration(migrations.Migration):

    atomic = False  # products may be written meanwhile

    dependencies = [
        ('catalog', '0016_imports_by_file'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
