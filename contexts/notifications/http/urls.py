"""Paths of the notifications API."""

from django.urls import URLPattern, path

from contexts.notifications.http import views

urlpatterns: list[URLPattern] = [
    path("notifications", views.NotificationListView.as_view(), name="notifications"),
    path("notifications/<id:notification_id>", views.NotificationDetailView.as_view(), name="notification"),
    path("notifications/<id:notification_id>/retry", views.NotificationRetryView.as_view(), name="notification-retry"),
    path("notifications/<id:notification_id>/again", views.NotificationAgainView.as_view(), name="notification-again"),
]
