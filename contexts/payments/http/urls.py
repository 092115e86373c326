"""Paths to views."""

from django.urls import URLPattern, path

from contexts.payments.http import views

urlpatterns: list[URLPattern] = [
    path("payments", views.PaymentListView.as_view(), name="payments"),
    path("payments/charge", views.PaymentChargeView.as_view(), name="payments-charge"),
    path("payments/webhooks/<ref:provider>", views.PaymentWebhookView.as_view(), name="payment-webhook"),
    path("payments/<id:payment_id>", views.PaymentDetailView.as_view(), name="payment"),
    path("payments/<id:payment_id>/refund", views.PaymentRefundView.as_view(), name="payment-refund"),
]
