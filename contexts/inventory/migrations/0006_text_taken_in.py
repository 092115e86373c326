"""Names and addresses of warehouses in the form in which text comes in today. Codes stay: other tables name them."""

from functools import partial

from django.db import migrations

from eci import text
from eci.intake import bring_in


def take_in(apps, schema_editor):
    warehouses = apps.get_model("inventory", "Warehouse").objects.using(schema_editor.connection.alias)
    rules = {
        "name": partial(text.clean, limit=text.WAREHOUSE_NAME),
        "address": partial(text.clean, limit=300),
    }
    bring_in(warehouses.all(), rules)


class Migration(migrations.Migration):

    dependencies = [
        ("inventory", "0005_trail"),
    ]

    operations = [migrations.RunPython(take_in, migrations.RunPython.noop)]
