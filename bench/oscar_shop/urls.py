"""Oscar's pages, which its mails link to, and the one address that the load calls."""

from django.apps import apps
from django.contrib import admin
from django.urls import include, path

from bench.oscar_shop.checkout import OrderView

urlpatterns = [
    path("bench/orders", OrderView.as_view()),
    path("admin/", admin.site.urls),
    path("", include(apps.get_app_config("oscar").urls[0])),
]
