from django.conf import settings
from django.urls import path

from config.staff import home, metrics, pages

urlpatterns = [
    path("", home.home),
    path("metrics", metrics.All.as_view()),
    path("metrics/<str:part>", metrics.One.as_view()),
]
if "orders" in settings.ECI_CONTEXTS:  # which can reach whatever these pages look at
    urlpatterns += [
        path("staff/reconcile", pages.reconcile_page, name="staff-reconcile"),
        path("staff/reconcile/look", pages.look_again, name="staff-look-again"),
        path("staff/reconcile/repair", pages.repair, name="staff-repair"),
        path("staff/reconcile/orders", pages.switch_orders, name="staff-switch-orders"),
    ]
