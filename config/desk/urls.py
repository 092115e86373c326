"""The desk's pages, where orders runs: that process can reach every context they show.

Included before the admin's own pages, whose front page this one replaces.
"""

from django.urls import path

from config.desk import pages

urlpatterns = [
    path("admin/", pages.front_page),
    path("staff/go", pages.go, name="desk-go"),
    path("staff/orders/<str:order_id>", pages.order_sheet, name="desk-order"),
]
