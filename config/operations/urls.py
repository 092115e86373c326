"""Metrics, all of them or one part."""

from django.urls import path

from config.operations import metrics

urlpatterns = [
    path("metrics", metrics.All.as_view()),
    path("metrics/<str:part>", metrics.One.as_view()),
]
