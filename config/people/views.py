"""A person's data of every context, over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from config.people import export
from eci.http.views import ApiView
from eci.identity.roles import Role, only


class ExportOut(serializers.Serializer[Any]):
    customer = serializers.DictField(help_text="The account with its addresses, logins and requests of mails.")
    orders = serializers.ListField(child=serializers.DictField())
    payments = serializers.ListField(child=serializers.DictField())
    shipments = serializers.ListField(child=serializers.DictField())
    notices = serializers.ListField(child=serializers.DictField(), help_text="What the shop has sent to the customer.")


class ExportView(ApiView):
    roles = only(Role.CUSTOMER)
    rate = {"GET": "export"}

    @extend_schema(responses=ExportOut)
    def get(self, request: Request) -> Response:
        """Everything that the shop knows about the caller."""
        return Response(export.everything(self.caller.own()), headers={"Cache-Control": "no-store"})
