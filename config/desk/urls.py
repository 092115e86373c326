"""The desk's pages, where orders runs: that process can reach every context they show.

Included before the admin's own pages, whose front page this one replaces.
"""

from django.urls import path

from config.desk import packing_pages, pages

urlpatterns = [
    path("admin/", pages.front_page),
    path("staff/activity", pages.activity_page, name="desk-activity"),
    path("staff/go", pages.go, name="desk-go"),
    path("staff/notifications/<id:notification_id>/again", pages.send_again, name="desk-again"),
    path("staff/products/<id:product_id>", pages.product_sheet, name="desk-product"),
    path("staff/orders/<str:order_id>", pages.order_sheet, name="desk-order"),
    path("staff/orders/<str:order_id>/<str:command>", pages.dialog, name="desk-dialog"),
    path("staff/pack", packing_pages.queue_page, name="desk-pack"),
    path("staff/pack/<int:shipment_id>", packing_pages.parcel_page, name="desk-parcel"),
    path("staff/pack/papers/<str:paper>", packing_pages.papers_page, name="desk-papers"),
]
