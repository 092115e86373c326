"""Paths beside those of customers: for clients this is part of that API."""

from __future__ import annotations

from django.urls import path

from config.people import views

urlpatterns = [path("users/me/export", views.ExportView.as_view())]
