"""The notifications API: list, send, look at one, send again."""

from __future__ import annotations

import functools
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.notifications import selectors, services, workflows
from contexts.notifications.http import presenters
from contexts.notifications.http.serializers import (
    AgainIn,
    NotificationIn,
    NotificationListQuery,
    NotificationOut,
    NotificationWithLogOut,
)
from eci.http import commands
from eci.http.paging import page
from eci.http.views import ApiView
from eci.identity.roles import Role, only

_SENDERS = only(Role.STOCK, Role.SUPPORT, Role.SERVICE)  # open to anybody, it would be a mail relay


class NotificationListView(ApiView):
    roles = _SENDERS
    query_serializer = NotificationListQuery
    body_serializers = {"POST": NotificationIn}

    @extend_schema(responses=NotificationOut(many=True))
    def get(self, request: Request) -> Response:
        """Notifications, newest first."""
        paging = self.paging()
        rows = selectors.notifications(
            paging=paging,
            recipient=self.query.get("recipient"),
            order_id=self.query.get("order_id"),
            status=self.query.get("status"),
        )
        return page(
            request,
            paging,
            rows,
            position=lambda row: (row["created_at"], row["notification_id"]),
            present=presenters.notification,
        )

    @extend_schema(responses={201: NotificationOut})
    def post(self, request: Request) -> Response:
        """Queue a notification; the worker sends it. `email` and `sms` name the channel, any other `type` the kind."""
        body = self.body()

        @functools.cache
        def customer() -> int | None:
            return workflows.customer_written_to(order_id=body["order_id"], recipient=body["recipient"])

        def execute() -> tuple[int, dict[str, Any]]:
            row = services.queue_written_notification(**body, customer_id=customer(), actor=self.caller.name)
            return 201, presenters.notification(row)

        key = self.idempotency_key("notifications.create", body)
        return commands.once("notifications", key, execute, prepare=customer, about=_id)


class NotificationDetailView(ApiView):
    roles = _SENDERS

    @extend_schema(responses=NotificationWithLogOut)
    def get(self, request: Request, notification_id: int) -> Response:
        """One notification with every attempt to send it."""
        row = selectors.notification_with_log(notification_id=notification_id)
        return Response(presenters.notification_with_log(row))


class NotificationRetryView(ApiView):
    roles = _SENDERS

    @extend_schema(request=None, responses=NotificationOut)
    def post(self, request: Request, notification_id: int) -> Response:
        """Send a notification now: one that was given up is queued again, one that waits becomes due."""

        def execute() -> tuple[int, dict[str, Any]]:
            row = services.requeue_notification(notification_id=notification_id, actor=self.caller.name)
            return 200, presenters.notification(row)

        key = self.idempotency_key("notifications.retry", {})
        return commands.once("notifications", key, execute, about=_id)


class NotificationAgainView(ApiView):
    roles = only(Role.SUPPORT)
    body_serializers = {"POST": AgainIn}
    refuses_cards = True

    @extend_schema(responses={201: NotificationOut})
    def post(self, request: Request, notification_id: int) -> Response:
        """Send a notification again that was sent or given up: a new one repeats it, and keeps the reason. It goes to
        the address that the buyer has by then, unless `recipient` names another. One with a link to an account cannot
        be sent again."""
        body = self.body()

        def execute() -> tuple[int, dict[str, Any]]:
            new_id = services.queue_again(
                notification_id=notification_id,
                recipient=body.get("recipient", ""),
                reason=body["reason"],
                actor=self.caller.name,
            )
            return 201, presenters.notification(selectors.notification(notification_id=new_id))

        key = self.idempotency_key("notifications.again", body)
        return commands.once("notifications", key, execute, about=_id)


def _id(data: dict[str, Any]) -> int:
    return int(data["notification_id"])
