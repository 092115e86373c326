from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('notifications', '0004_service_tokens'),
    ]

    operations = [
        migrations.AddField(
            model_name='notification',
            name='actor',
            field=models.CharField(db_default='system', default='system', max_length=200),
        ),
    ]
