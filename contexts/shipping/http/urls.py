from django.urls import URLPattern, path

from contexts.shipping.http import views

urlpatterns: list[URLPattern] = [
    path("shipments", views.Shipments.as_view(), name="shipments"),
    path("shipments/<id:shipment_id>", views.OneShipment.as_view(), name="shipment"),
    path("shipments/track/<ref:tracking_no>", views.Tracking.as_view(), name="tracking"),
]
