"""Holds keep their times, so that stock as of an instant is known. Those that are open begin now, others ended now."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models import F
from django.db.models.functions import Now


def begin(apps, schema_editor):
    alias = schema_editor.connection.alias
    if apps.get_model("inventory", "Stock").objects.using(alias).exists():
        apps.get_model("inventory", "HistoryStart").objects.using(alias).create(at=Now())
    closed = apps.get_model("inventory", "Allocation").objects.using(alias).exclude(state__in=("OPEN", "SHORT"))
    closed.update(until=F("since"))


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0012_sealed_ledger'),
    ]

    operations = [
        migrations.CreateModel(
            name='HistoryStart',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='PastHold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('OPEN', 'OPEN'), ('SHORT', 'SHORT'), ('SHIPPED', 'SHIPPED'), ('RELEASED', 'RELEASED'), ('EXPIRED', 'EXPIRED')], max_length=10)),
                ('quantity', models.PositiveIntegerField()),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='WarehouseChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_active', models.BooleanField()),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name='movement',
            name='inventory_movement_place',
        ),
        migrations.AddField(
            model_name='allocation',
            name='lasted',
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='allocation',
            name='since',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AddField(
            model_name='allocation',
            name='until',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='allocation',
            name='reservation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='allocations', to='inventory.reservation'),
        ),
        migrations.AlterField(
            model_name='allocation',
            name='stock',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='allocations', to='inventory.stock'),
        ),
        migrations.AddIndex(
            model_name='allocation',
            index=models.Index(condition=models.Q(('until__isnull', True)), fields=['stock'], name='inventory_allocation_holding'),
        ),
        migrations.AddIndex(
            model_name='allocation',
            index=models.Index(condition=models.Q(('lasted__isnull', False)), fields=['lasted', 'until', 'stock'], name='inventory_allocation_then'),
        ),
        migrations.AddIndex(
            model_name='movement',
            index=models.Index(fields=['product_id', 'warehouse', 'at', 'id'], name='inventory_movement_then'),
        ),
        migrations.AddField(
            model_name='pasthold',
            name='stock',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='inventory.stock'),
        ),
        migrations.AddField(
            model_name='warehousechange',
            name='warehouse',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='inventory.warehouse'),
        ),
        migrations.AddIndex(
            model_name='pasthold',
            index=models.Index(fields=['stock', 'until'], name='inventory_past_hold_then'),
        ),
    ]
