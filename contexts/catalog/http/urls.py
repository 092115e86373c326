"""Paths to the views of products and categories."""

from __future__ import annotations

from django.urls import path

from contexts.catalog.http import views

urlpatterns = [
    path("products", views.ProductListView.as_view()),
    path("products/search", views.ProductSearchView.as_view()),
    path("products/<id:product_id>", views.ProductDetailView.as_view()),
    path("products/<id:product_id>/prices", views.ProductPricesView.as_view()),
    path("products/sku/<code:sku>", views.ProductBySkuView.as_view()),
    path("categories", views.CategoryListView.as_view()),
]
