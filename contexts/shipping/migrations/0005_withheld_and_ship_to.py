from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('shipping', '0004_service_tokens'),
    ]

    operations = [
        migrations.AddField(
            model_name='shipment',
            name='ship_to',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='shipment',
            name='short',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='shipment',
            name='refunded',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
