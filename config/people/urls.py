"""Beside the URLs of customers, whose API this is part of for clients."""

from django.urls import path

from config.people import views

urlpatterns = [path("users/me/export", views.Export.as_view())]
