"""Paths to the views of products and categories."""

from __future__ import annotations

from django.urls import path

from contexts.catalog.http import views
from eci.http import imports

urlpatterns = [
    path("products", views.ProductListView.as_view()),
    path("products/search", views.ProductSearchView.as_view()),
    path("products/<id:product_id>", views.ProductDetailView.as_view()),
    path("products/<id:product_id>/prices", views.ProductPricesView.as_view()),
    path("products/sku/<code:sku>", views.ProductBySkuView.as_view()),
    path("products/export", views.ProductExportView.as_view()),
    path("products/prices/export", views.PriceExportView.as_view()),
    path("products/import", views.ProductImportView.as_view()),
    path("imports", imports.ImportListView.as_view()),
    path("imports/<ref:import_id>", imports.ImportDetailView.as_view()),
    path("imports/<ref:import_id>/rows", imports.ImportRowListView.as_view()),
    path("imports/<ref:import_id>/apply", imports.ImportApplyView.as_view()),
    path("imports/<ref:import_id>/undo", imports.ImportUndoView.as_view()),
    path("categories", views.CategoryListView.as_view()),
]
