from django.core.management.color import no_style
from django.db import migrations
from django.db.models import Case, Value, When

FIRST = 10_001
BATCH = 500


def give_numbers(apps, schema_editor):
    """In the order in which they were placed, some at a time, while orders are placed. It may be cut off, and goes on."""
    connection = schema_editor.connection
    Number = apps.get_model("orders", "Number")
    numbers = Number.objects.using(connection.alias)
    orders = apps.get_model("orders", "Order").objects.using(connection.alias)
    if not numbers.exists():
        numbers.create(pk=FIRST - 1)
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), [Number]):
                cursor.execute(statement)
    after = ""
    while ids := list(
        orders.filter(pk__gt=after, number=None).order_by("pk").values_list("pk", flat=True)[:BATCH]
    ):
        last = numbers.order_by("-pk").values_list("pk", flat=True)[0]
        numbers.bulk_create([Number() for _ in ids])
        given = numbers.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[: len(ids)]
        theirs = [When(pk=pk, then=Value(number)) for pk, number in zip(ids, given)]
        orders.filter(pk__in=ids).update(number=Case(*theirs))
        after = ids[-1]


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0009_other_systems_ids'),
    ]

    operations = [migrations.RunPython(give_numbers, migrations.RunPython.noop, atomic=False)]
