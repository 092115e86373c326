from django.urls import path

from contexts.inventory.http import views

urlpatterns = [
    path("warehouses", views.Warehouses.as_view()),
    path("inventory", views.StockRows.as_view()),
    path("inventory/<id:inventory_id>", views.StockRow.as_view()),
    path("inventory/adjustments", views.Adjustments.as_view()),
    path("inventory/transfers", views.Transfers.as_view()),
    path("inventory/availability", views.AvailabilityOfMany.as_view()),
    path("inventory/availability/<id:product_id>", views.AvailabilityOfOne.as_view()),
    path("inventory/reserve", views.Reserve.as_view()),
    path("inventory/confirm", views.Confirm.as_view()),
    path("inventory/release", views.Release.as_view()),
    path("inventory/ship", views.Ship.as_view()),
    path("inventory/reservations", views.Reservations.as_view()),
    path("inventory/reservations/status", views.ReservationsStatus.as_view()),
    path("inventory/reservations/<id:reservation_id>", views.ReservationById.as_view()),
    path("inventory/movements", views.Movements.as_view()),
]
