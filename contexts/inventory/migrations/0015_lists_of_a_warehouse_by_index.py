"""New indexes first: MariaDB keeps no foreign key without one."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0014_totals_and_reservations_by_status'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='movement',
            index=models.Index(fields=['warehouse', '-at', '-id'], name='inventory_movement_warehouse'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(fields=['order_id'], name='inventory_reservation_order'),
        ),
        migrations.AddIndex(
            model_name='stock',
            index=models.Index(fields=['warehouse', '-created_at', '-id'], name='inventory_stock_warehouse'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.UniqueConstraint(fields=('key',), name='inventory_reservation_key'),
        ),
        migrations.AlterField(
            model_name='movement',
            name='warehouse',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='inventory.warehouse'),
        ),
        migrations.AlterField(
            model_name='reservation',
            name='key',
            field=models.CharField(max_length=255),
        ),
        migrations.AlterField(
            model_name='reservation',
            name='order_id',
            field=models.CharField(blank=True, default='', max_length=64),
        ),
        migrations.AlterField(
            model_name='stock',
            name='warehouse',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='inventory.warehouse'),
        ),
    ]
