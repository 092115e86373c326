"""The product's own work, as the benchmarks run it in their process."""

from __future__ import annotations

from collections import Counter

import pytest
from django.contrib.auth.models import User

from bench import chores, growth, measures, one_order, one_read
from bench.shop import ADMIN
from contexts.notifications.models import Notification
from contexts.orders.models import Order
from tests.support.shop import Shop


@pytest.mark.any_engine
def test_an_order_what_it_causes_and_reads(shop: Shop) -> None:
    User.objects.create_superuser(ADMIN["email"], ADMIN["email"], ADMIN["password"])
    application = one_order.InProcess()
    assert application.headers["HTTP_AUTHORIZATION"].startswith("Bearer ")
    with one_order.sampled() as seen:
        application.order(1, shop.product_id)
    assert one_order.calls(one_order.after_commit) > 1_000
    assert Order.objects.get().status == "SHIPPED"
    assert Counter(Notification.objects.values_list("status", flat=True)) == {"SENT": 2}
    assert all(layer in one_order.LAYERS for _, layer in seen)
    kinds = measures.reads([shop.product_id], Order.objects.get().pk) | {"order list": lambda: measures.ORDER_LIST}
    for call in kinds.values():
        assert one_read.of(application, call, 1, {})["calls"] > 100


def test_every_chore_runs(shop: Shop) -> None:
    shop.order()
    one_order.after_commit()
    known = chores.known()
    assert set(known) == {"sweep", *growth.CHORES, *growth.LAST}
    for words, work, _ in known.values():
        assert words
        work()
    assert Counter(Notification.objects.values_list("status", flat=True)) == {"SENT": 2}
