"""Orders withhold shipments whose units are missing: here they are told of those that earlier versions left short."""

import uuid

from django.db import migrations


def tell_orders(apps, schema_editor):
    alias = schema_editor.connection.alias
    allocations = apps.get_model("inventory", "Allocation").objects.using(alias)
    outbox = apps.get_model("inventory", "OutboxEvent")
    short = allocations.filter(state="SHORT", reservation__order_id__startswith="ORD-")
    outbox.objects.using(alias).bulk_create(
        outbox(
            event_id=uuid.uuid4(),
            name="inventory.allocation_short.v1",
            consumer="orders",
            aggregate_id=allocation.reservation.order_id,
            payload={
                "order_id": allocation.reservation.order_id,
                "reservation_id": allocation.reservation_id,
                "warehouse": allocation.stock.warehouse_id,
                "product_id": allocation.stock.product_id,
                "quantity": allocation.quantity,
                "version": allocation.reservation.version,
            },
        )
        for allocation in short.select_related("reservation", "stock").order_by("pk")
    )


class Migration(migrations.Migration):

    dependencies = [
        ("inventory", "0006_text_taken_in"),
    ]

    operations = [migrations.RunPython(tell_orders, migrations.RunPython.noop)]
