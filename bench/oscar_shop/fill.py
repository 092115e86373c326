"""Make the shop: python -m bench.oscar_shop.fill PRODUCTS USERS. Prints the ids of the products and the users."""

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.oscar_shop.settings")

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from oscar.core.loading import get_model  # noqa: E402

from bench.oscar_shop import ADDRESS  # noqa: E402

PLENTY = 10_000_000


def main() -> None:
    products, users = map(int, sys.argv[1:])
    call_command("migrate", run_syncdb=True, verbosity=0)
    Product, StockRecord = get_model("catalogue", "Product"), get_model("partner", "StockRecord")
    if not Product.objects.exists():
        get_model("address", "Country").objects.create(
            iso_3166_1_a2="US",
            iso_3166_1_a3="USA",
            name="United States",
            printable_name="United States",
            is_shipping_country=True,
        )
        kind = get_model("catalogue", "ProductClass").objects.create(name="Thing", track_stock=True)
        partner = get_model("partner", "Partner").objects.create(name="Shop")
        Product.objects.bulk_create(
            Product(title=f"Product {n}", upc=f"{n:08}", product_class=kind, slug=f"p-{n}") for n in range(products)
        )
        StockRecord.objects.bulk_create(
            StockRecord(
                product=row,
                partner=partner,
                partner_sku=row.upc,
                price="10.00",
                price_currency="USD",
                num_in_stock=PLENTY,
            )
            for row in Product.objects.all()
        )
        User = get_user_model()
        User.objects.bulk_create(User(username=f"u{n}", email=f"u{n}@example.com", password="!") for n in range(users))
        for user in User.objects.all():  # each has ordered before: of two first orders at once, oscar refuses one
            get_model("address", "UserAddress")(user=user, **ADDRESS).save()
    ids = {
        "products": list(Product.objects.values_list("pk", flat=True)),
        "users": list(get_user_model().objects.values_list("pk", flat=True)),
    }
    print(json.dumps(ids))


if __name__ == "__main__":
    main()
