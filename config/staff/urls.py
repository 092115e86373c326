"""The front page."""

from django.urls import path

from config.staff import home

urlpatterns = [path("", home.home)]
