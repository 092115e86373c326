from django.urls import path

from contexts.orders.http import views

urlpatterns = [
    path("orders", views.Orders.as_view()),
    path("orders/quote", views.Quote.as_view()),
    path("orders/<ref:order_id>", views.OrderById.as_view()),
    path("orders/<ref:order_id>/cancel", views.Cancel.as_view()),
    path("orders/<ref:order_id>/returns", views.Returns.as_view()),
]
