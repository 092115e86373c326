"""Paths to the views of products and categories."""

from __future__ import annotations

from django.urls import path, register_converter

from contexts.catalog.http import views
from eci import text


class SkuConverter:
    """A whole SKU: unlike other references it may contain slashes."""

    regex = ".{1,64}"

    def to_python(self, value: str) -> str:
        return text.sku(value)

    def to_url(self, value: str) -> str:
        return value


register_converter(SkuConverter, "sku")

urlpatterns = [
    path("products", views.ProductListView.as_view()),
    path("products/search", views.ProductSearchView.as_view()),
    path("products/<id:product_id>", views.ProductDetailView.as_view()),
    path("products/sku/<sku:sku>", views.ProductBySkuView.as_view()),
    path("categories", views.CategoryListView.as_view()),
]
