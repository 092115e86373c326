from django.urls import URLPattern, path

from contexts.notifications.http import views

urlpatterns: list[URLPattern] = [
    path("notifications", views.Notifications.as_view(), name="notifications"),
    path("notifications/<id:notification_id>", views.OneNotification.as_view(), name="notification"),
    path("notifications/<id:notification_id>/retry", views.Retry.as_view(), name="notification-retry"),
]
