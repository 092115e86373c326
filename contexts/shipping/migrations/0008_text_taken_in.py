"""Shipments and their events in the form in which text comes in today. Only carrier and tracking number of what is under
way can be mended by hand, so only those are said where they cannot be brought to it."""

from functools import partial

from django.db import migrations

from eci import text
from eci.intake import as_far_as_it_goes, bring_in

UNDER_WAY = ("PENDING", "PACKED", "SHIPPED", "IN_TRANSIT", "OUT_FOR_DELIVERY")


def tracking_no(given):
    number = text.code(given, limit=64, name="A tracking number")
    if "/" in number:
        raise ValueError("A tracking number has no '/'.")
    return number


def address(given):
    return text.clean_lines(given, limit=1000)


def whole(given):
    """Of the whole address, each text."""
    if isinstance(given, str):
        return as_far_as_it_goes(address)(given)
    if isinstance(given, list):
        return [whole(one) for one in given]
    return {name: whole(one) for name, one in given.items()} if isinstance(given, dict) else given


def take_in(apps, schema_editor):
    Shipment, Event = (apps.get_model("shipping", name) for name in ("Shipment", "ShipmentEvent"))
    alias = schema_editor.connection.alias
    shipments = Shipment.objects.using(alias)
    labels = {"carrier": partial(text.clean, limit=64, blank=False), "tracking_no": tracking_no}
    rest = {
        "address": as_far_as_it_goes(address),
        "city": as_far_as_it_goes(partial(text.clean, limit=200)),
        "order_id": as_far_as_it_goes(partial(text.code, limit=64, name="An order id")),
        "ship_to": whole,
    }
    once = ("tracking_no", "tracking_no")
    bring_in(shipments.filter(status__in=UNDER_WAY), labels | rest, unique=once)
    gone = {name: as_far_as_it_goes(rule) for name, rule in labels.items()}
    bring_in(shipments.exclude(status__in=UNDER_WAY), gone | rest, unique=once)
    notes = {
        "location": as_far_as_it_goes(partial(text.clean, limit=200)),
        "note": as_far_as_it_goes(partial(text.clean, limit=1000, lines=True)),
    }
    bring_in(Event.objects.using(alias), notes)


class Migration(migrations.Migration):

    dependencies = [
        ("shipping", "0007_erased_guests"),
    ]

    operations = [migrations.RunPython(take_in, migrations.RunPython.noop)]
