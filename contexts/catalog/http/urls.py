from __future__ import annotations

from django.urls import path, register_converter

from contexts.catalog.http import views


class SkuConverter:
    """A whole SKU: unlike other references it may contain slashes."""

    regex = ".{1,64}"

    def to_python(self, value: str) -> str:
        if not value.isprintable():
            raise ValueError(value)
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(SkuConverter, "sku")

urlpatterns = [
    path("products", views.Products.as_view()),
    path("products/search", views.ProductsFound.as_view()),
    path("products/<id:product_id>", views.Product.as_view()),
    path("products/sku/<sku:sku>", views.ProductBySku.as_view()),
    path("categories", views.Categories.as_view()),
]
