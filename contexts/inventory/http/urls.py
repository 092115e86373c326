"""Inventory's paths under /v1."""

from django.urls import path

from contexts.inventory.http import views
from eci.http import imports

urlpatterns = [
    path("warehouses", views.WarehouseListView.as_view()),
    path("warehouses/<code:code>", views.WarehouseDetailView.as_view()),
    path("inventory", views.StockRowListView.as_view()),
    path("inventory/<id:inventory_id>", views.StockRowDetailView.as_view()),
    path("inventory/<id:inventory_id>/explain", views.StockExplainView.as_view()),
    path("inventory/adjustments", views.StockAdjustView.as_view()),
    path("inventory/counts", views.StockCountView.as_view()),
    path("inventory/transfers", views.StockTransferView.as_view()),
    path("inventory/availability", views.AvailabilityListView.as_view()),
    path("inventory/availability/<id:product_id>", views.AvailabilityDetailView.as_view()),
    path("inventory/reserve", views.StockReserveView.as_view()),
    path("inventory/confirm", views.ReservationConfirmView.as_view()),
    path("inventory/release", views.ReservationReleaseView.as_view()),
    path("inventory/ship", views.ReservationShipView.as_view()),
    path("inventory/reservations", views.ReservationListView.as_view()),
    path("inventory/reservations/status", views.ReservationStatisticsView.as_view()),
    path("inventory/reservations/<id:reservation_id>", views.ReservationDetailView.as_view()),
    path("inventory/stock", views.StockAsOfListView.as_view()),
    path("inventory/stock/export", views.StockAsOfExportView.as_view()),
    path("inventory/export", views.StockExportView.as_view()),
    path("inventory/movements/export", views.MovementExportView.as_view()),
    path("inventory/import", views.StockImportView.as_view()),
    path("imports", imports.ImportListView.as_view()),
    path("imports/<ref:import_id>", imports.ImportDetailView.as_view()),
    path("imports/<ref:import_id>/rows", imports.ImportRowListView.as_view()),
    path("imports/<ref:import_id>/apply", imports.ImportApplyView.as_view()),
    path("imports/<ref:import_id>/undo", imports.ImportUndoView.as_view()),
    path("inventory/movements", views.MovementListView.as_view()),
]
