from django.db import migrations

from contexts.catalog import words

BATCH = 2_000


def learn(apps, schema_editor):
    """The words of names of which only a part may be looked for, some names at a time. The others are known."""
    alias = schema_editor.connection.alias
    Word = apps.get_model("catalog", "Word")
    names = apps.get_model("catalog", "Product").objects.using(alias).order_by("pk").values_list("pk", "name")
    chunk = list(names[:BATCH])
    while chunk:
        found = {word for _, name in chunk for word in words.vocabulary(name=name, category="")}
        Word.objects.using(alias).bulk_create(
            [Word(word=word, length=len(word)) for word in sorted(found) if not words.may_be_mistaken(word)],
            ignore_conflicts=True,
        )
        chunk = list(names.filter(pk__gt=chunk[-1][0])[:BATCH])


class Migration(migrations.Migration):

    atomic = False  # products may be written meanwhile

    dependencies = [
        ('catalog', '0014_word_length'),
    ]

    operations = [migrations.RunPython(learn, migrations.RunPython.noop)]
