"""Paths to views."""

from django.urls import URLPattern, path

from contexts.shipping.http import views

urlpatterns: list[URLPattern] = [
    path("shipments", views.ShipmentListView.as_view(), name="shipments"),
    path("shipments/<id:shipment_id>", views.ShipmentDetailView.as_view(), name="shipment"),
    path("shipments/track/<ref:tracking_no>", views.TrackingView.as_view(), name="tracking"),
]
