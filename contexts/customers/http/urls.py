"""Paths to the views of accounts, customers and their addresses."""

from __future__ import annotations

from django.urls import path

from contexts.customers.http import views
from eci.http import imports

urlpatterns = [
    path("users/register", views.RegisterView.as_view()),
    path("users/login", views.LoginView.as_view()),
    path("users/token/refresh", views.TokenRefreshView.as_view()),
    path("users/logout", views.LogoutView.as_view()),
    path("users/password/change", views.PasswordChangeView.as_view()),
    path("users/password/reset", views.PasswordResetView.as_view()),
    path("users/password/reset/confirm", views.PasswordResetConfirmView.as_view()),
    path("users/email/verify", views.EmailVerifyView.as_view()),
    path("users/sessions/revoke", views.SessionsRevokeView.as_view()),
    path("users/me", views.MeView.as_view()),
    path("users/me/addresses", views.MyAddressListView.as_view()),
    path("users/me/addresses/<id:address_id>", views.MyAddressDetailView.as_view()),
    path("staff/token", views.StaffTokenView.as_view()),
    path("customers", views.CustomerListView.as_view()),
    path("customers/import", views.CustomerImportView.as_view()),
    path("imports", imports.ImportListView.as_view()),
    path("imports/<ref:import_id>", imports.ImportDetailView.as_view()),
    path("imports/<ref:import_id>/rows", imports.ImportRowListView.as_view()),
    path("imports/<ref:import_id>/apply", imports.ImportApplyView.as_view()),
    path("imports/<ref:import_id>/undo", imports.ImportUndoView.as_view()),
    path("customers/export", views.CustomerExportView.as_view()),
    path("customers/<id:customer_id>", views.CustomerDetailView.as_view()),
    path("customers/<id:customer_id>/addresses", views.AddressListView.as_view()),
    path("customers/<id:customer_id>/addresses/<id:address_id>", views.AddressDetailView.as_view()),
]
