from django.urls import path

from contexts.customers.http import views

urlpatterns = [
    path("users/register", views.Register.as_view()),
    path("users/login", views.Login.as_view()),
    path("users/token/refresh", views.TokenRefresh.as_view()),
    path("users/logout", views.Logout.as_view()),
    path("users/password/change", views.PasswordChange.as_view()),
    path("users/password/reset", views.PasswordReset.as_view()),
    path("users/password/reset/confirm", views.PasswordResetConfirm.as_view()),
    path("users/email/verify", views.EmailVerify.as_view()),
    path("users/sessions/revoke", views.SessionsRevoke.as_view()),
    path("users/me", views.Me.as_view()),
    path("users/me/addresses", views.MyAddressList.as_view()),
    path("users/me/addresses/<id:address_id>", views.MyAddressDetail.as_view()),
    path("staff/token", views.StaffToken.as_view()),
    path("customers", views.CustomerList.as_view()),
    path("customers/<id:customer_id>", views.CustomerDetail.as_view()),
    path("customers/<id:customer_id>/addresses", views.AddressList.as_view()),
    path("customers/<id:customer_id>/addresses/<id:address_id>", views.AddressDetail.as_view()),
]
