"""Notifications in the form in which text comes in today. Nobody can mend them, so nothing is said where they cannot be
brought to it. Recipients of what was sent stay: they tell where it went."""

from functools import partial

from django.db import migrations

from eci import text
from eci.intake import as_far_as_it_goes, bring_in


def recipient(given):
    return text.email(given) if "@" in given else text.phone(given)


def take_in(apps, schema_editor):
    Notification = apps.get_model("notifications", "Notification")
    notifications = Notification.objects.using(schema_editor.connection.alias)
    words = {
        "subject": partial(text.clean, limit=200),
        "message": partial(text.clean, limit=10_000, lines=True),
        "order_id": partial(text.code, limit=64, name="An order id"),
    }
    words = {name: as_far_as_it_goes(rule) for name, rule in words.items()}
    may_be_sent = {"recipient": as_far_as_it_goes(recipient)} | words
    bring_in(notifications.filter(status__in=("QUEUED", "FAILED")), may_be_sent)
    bring_in(notifications.exclude(status__in=("QUEUED", "FAILED")), words)


class Migration(migrations.Migration):

    dependencies = [
        ("notifications", "0006_trail"),
    ]

    operations = [migrations.RunPython(take_in, migrations.RunPython.noop)]
