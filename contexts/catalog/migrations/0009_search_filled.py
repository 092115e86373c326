from django.db import migrations

from contexts.catalog import words

BATCH = 500


def fill(apps, schema_editor):
    """What is searched of the products that are there, some at a time. It may be cut off, and goes on."""
    alias = schema_editor.connection.alias
    Word = apps.get_model("catalog", "Word")
    products = apps.get_model("catalog", "Product").objects.using(alias)
    todo = products.filter(plain_name="").order_by("pk")
    chunk = list(todo[:BATCH])
    while chunk:
        vocabulary = set()
        for product in chunk:
            product.plain_name = words.plain(product.name)
            product.terms = words.terms(
                sku=product.sku,
                barcode=product.barcode or "",
                name=product.name,
                category=product.category,
                description=product.description,
            )
            vocabulary |= words.vocabulary(name=product.name, category=product.category)
        Word.objects.using(alias).bulk_create(
            [Word(word=word, head=word[:2], tail=word[-2:], length=len(word)) for word in sorted(vocabulary)],
            ignore_conflicts=True,
        )
        products.bulk_update(chunk, ["plain_name", "terms"], batch_size=100)
        chunk = list(todo.filter(pk__gt=chunk[-1].pk)[:BATCH])


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0008_search'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, atomic=False)]
