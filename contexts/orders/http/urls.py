"""Orders' paths."""

from django.urls import path

from contexts.orders.http import views

urlpatterns = [
    path("orders", views.OrderListView.as_view()),
    path("orders/export", views.OrderExportView.as_view()),
    path("orders/quote", views.QuoteView.as_view()),
    path("orders/<ref:order_id>", views.OrderDetailView.as_view()),
    path("orders/<ref:order_id>/cancel", views.OrderCancelView.as_view()),
    path("orders/<ref:order_id>/returns", views.OrderReturnView.as_view()),
    path("orders/<ref:order_id>/returns/<id:return_id>/receive", views.ReturnReceiveView.as_view()),
    path("orders/<ref:order_id>/returns/<id:return_id>/refuse", views.ReturnRefuseView.as_view()),
]
