"""The reconcile page and its buttons, where orders runs: that process can reach every context the page looks at."""

from django.urls import path

from config.books import pages

urlpatterns = [
    path("staff/reconcile", pages.reconcile_page, name="staff-reconcile"),
    path("staff/reconcile/look", pages.look_again, name="staff-look-again"),
    path("staff/reconcile/repair", pages.repair, name="staff-repair"),
    path("staff/reconcile/orders", pages.switch_orders, name="staff-switch-orders"),
]
