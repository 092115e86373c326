from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('shipping', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='shipment',
            name='customer_id',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddIndex(
            model_name='shipment',
            index=models.Index(fields=['customer_id', 'created_at'], name='shipping_shipment_customer'),
        ),
    ]
