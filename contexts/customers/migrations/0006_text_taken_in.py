from functools import partial

from django.db import migrations

from contexts.customers.domain import email_key, name_key
from eci import text
from eci.intake import bring_in


def derived(customer):
    return {"email_key": email_key(customer.email), "name_key": name_key(customer.full_name)}


def phone(given):
    return text.phone(given) if given else ""


def limited(model, *names):
    return {name: partial(text.clean, limit=model._meta.get_field(name).max_length) for name in names}


def take_in(apps, schema_editor):
    Customer, Address, MailRequest = (apps.get_model("customers", name) for name in ("Customer", "Address", "MailRequest"))
    alias = schema_editor.connection.alias
    bring_in(
        Customer.objects.using(alias).filter(erased_at=None),
        {"email": text.email, "phone": phone} | limited(Customer, "full_name"),
        derived=derived,
        unique=("email", "email_key"),
    )
    parts = limited(Address, "full_name", "line1", "line2", "city", "region", "postal_code", "country")
    bring_in(Address.objects.using(alias), parts | {"phone": phone})
    bring_in(MailRequest.objects.using(alias), {"email_key": email_key})


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0005_wider_text_and_trail'),
    ]

    operations = [migrations.RunPython(take_in, migrations.RunPython.noop)]
