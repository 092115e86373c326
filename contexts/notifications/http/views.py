from __future__ import annotations

import functools
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.customers.public.api import customers
from contexts.notifications import selectors, services
from contexts.notifications.http import presenters
from contexts.notifications.http.serializers import (
    NewNotification,
    NotificationOut,
    NotificationQuery,
    NotificationWithLogOut,
)
from contexts.orders.public.api import orders
from eci.http import commands
from eci.http.paging import page
from eci.http.views import ApiView
from eci.identity.roles import Role, only
from eci.ids import is_our_order

_STAFF = only(Role.STOCK, Role.SUPPORT, Role.SERVICE)  # open to anybody, it would be a mail relay


class Notifications(ApiView):
    roles = _STAFF
    query_serializer = NotificationQuery
    body_serializers = {"POST": NewNotification}

    @extend_schema(responses=NotificationOut(many=True))
    def get(self, request: Request) -> Response:
        """Notices, newest first."""
        paging = self.paging()
        found = selectors.notifications(
            recipient=self.query.get("recipient"),
            order_id=self.query.get("order_id"),
            status=self.query.get("status"),
        )
        return page(
            request,
            paging,
            paging.slice(found),
            position=lambda row: (row["created_at"], row["notification_id"]),
            present=presenters.notification,
        )

    @extend_schema(responses={201: NotificationOut})
    def post(self, request: Request) -> Response:
        """Queue a message: the worker sends it. `email` and `sms` name the channel, any other word the kind."""
        body = self.body()

        @functools.cache
        def whose() -> int | None:
            if is_our_order(body["order_id"]):
                return orders.recipient(order_id=body["order_id"]).customer_id
            return customers.customer_with(email=body["recipient"])

        def execute() -> tuple[int, dict[str, Any]]:
            return 201, presenters.notification(services.queue_message(**body, customer_id=whose()))

        key = self.idempotency_key("notifications.create", body)
        return commands.once("notifications", key, execute, prepare=whose, about=_name)


class OneNotification(ApiView):
    roles = _STAFF

    @extend_schema(responses=NotificationWithLogOut)
    def get(self, request: Request, notification_id: int) -> Response:
        """One notice with every attempt to send it."""
        row = selectors.audit_trail(notification_id=notification_id)
        return Response(presenters.notification_with_log(row))


class Retry(ApiView):
    roles = _STAFF

    @extend_schema(request=None, responses=NotificationOut)
    def post(self, request: Request, notification_id: int) -> Response:
        """Queue a notice that was given up, or hurry one that waits: due now."""

        def execute() -> tuple[int, dict[str, Any]]:
            return 200, presenters.notification(services.queue_again(notification_id=notification_id))

        key = self.idempotency_key("notifications.retry", {})
        return commands.once("notifications", key, execute, about=_name)


def _name(data: dict[str, Any]) -> int:
    return int(data["notification_id"])
