"""What earlier versions left owed, written as such: the units of short allocations."""

from django.db import migrations
from django.db.models import F, Sum


def write_owed(apps, schema_editor):
    alias = schema_editor.connection.alias
    short = apps.get_model("inventory", "Allocation").objects.using(alias).filter(state="SHORT").order_by("stock")
    stock = apps.get_model("inventory", "Stock").objects.using(alias)
    for line in short.values("stock").annotate(units=Sum("quantity")):
        stock.filter(pk=line["stock"]).update(owed=line["units"], version=F("version") + 1)


class Migration(migrations.Migration):

    dependencies = [
        ("inventory", "0003_owed_versions_and_longer_names"),
    ]

    operations = [migrations.RunPython(write_owed, migrations.RunPython.noop)]
