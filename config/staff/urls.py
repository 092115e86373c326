from django.urls import path

from config.staff import home, metrics

urlpatterns = [
    path("", home.home),
    path("metrics", metrics.overall),
    path("metrics/<str:context>", metrics.one),
]
