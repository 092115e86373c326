from django.urls import URLPattern, path

from contexts.payments.http import views

urlpatterns: list[URLPattern] = [
    path("payments", views.PaymentsView.as_view(), name="payments"),
    path("payments/charge", views.ChargeView.as_view(), name="payments-charge"),
    path("payments/webhooks/<ref:provider>", views.WebhookView.as_view(), name="payment-webhook"),
    path("payments/<id:payment_id>", views.PaymentView.as_view(), name="payment"),
    path("payments/<id:payment_id>/refund", views.RefundView.as_view(), name="payment-refund"),
]
