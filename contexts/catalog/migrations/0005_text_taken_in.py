from functools import partial

from django.db import migrations

from contexts.catalog.domain import category_key, name_key, search_text
from eci import text
from eci.intake import bring_in


def derived(product):
    return {
        "name_key": name_key(product.name),
        "category_key": category_key(product.category),
        "search_text": search_text(product.sku, product.name, product.description),
    }


def take_in(apps, schema_editor):
    products = apps.get_model("catalog", "Product").objects.using(schema_editor.connection.alias)
    rules = {
        "sku": text.sku,
        "name": partial(text.clean, limit=text.NAME),
        "category": partial(text.clean, limit=text.CATEGORY),
        "description": partial(text.clean, limit=text.DESCRIPTION, lines=True),
    }
    bring_in(products.all(), rules, derived=derived, unique=("sku", "sku"))


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0004_wider_text_and_trail'),
    ]

    operations = [migrations.RunPython(take_in, migrations.RunPython.noop)]
