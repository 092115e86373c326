from django.urls import path

from contexts.customers.http import views

urlpatterns = [
    path("users/register", views.Register.as_view()),
    path("customers", views.CustomerList.as_view()),
    path("customers/<id:customer_id>", views.CustomerDetail.as_view()),
    path("customers/<id:customer_id>/addresses", views.AddressList.as_view()),
    path("customers/<id:customer_id>/addresses/<id:address_id>", views.AddressDetail.as_view()),
]
