from __future__ import annotations

import functools
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.customers import selectors, services
from contexts.customers.http import presenters
from contexts.customers.http.serializers import (
    AddressFilter,
    AddressIn,
    AddressOut,
    CustomerFilter,
    CustomerIn,
    CustomerOut,
    RegistrationIn,
)
from eci.http.paging import page
from eci.http.views import ApiView
from eci.paging import Paging


def _position(paging: Paging) -> Any:
    return lambda row: (row[paging.field], row["id"])


class Register(ApiView):
    roles = "ACKSPV"
    body_serializers = {"POST": RegistrationIn}

    @extend_schema(responses={201: CustomerOut})
    def post(self, request: Request) -> Response:
        body = self.body()
        password = body.pop("password")  # no part of the key's digest, which would make guessing it cheap
        key = self.idempotency_key("customers.register", body)
        password_hash = functools.cache(lambda: services.hash_password(password))

        def execute() -> tuple[int, Any]:
            return 201, presenters.customer(services.register_customer(password_hash=password_hash(), **body))

        return self.answer_once("customers", key, execute, prepare=password_hash)


class CustomerList(ApiView):
    roles = "P"
    query_serializer = CustomerFilter

    @extend_schema(responses=CustomerOut(many=True))
    def get(self, request: Request) -> Response:
        paging = self.paging()
        rows = selectors.customers(paging=paging, email=self.query.get("email", ""))
        return page(request, paging, rows, position=_position(paging), present=presenters.customer)


class CustomerDetail(ApiView):
    roles = "P"
    body_serializers = {"PATCH": CustomerIn}

    @extend_schema(responses=CustomerOut)
    def get(self, request: Request, customer_id: int) -> Response:
        return Response(presenters.customer(selectors.customer(customer_id=customer_id)))

    @extend_schema(responses=CustomerOut)
    def patch(self, request: Request, customer_id: int) -> Response:
        changes = self.body(partial=True)
        return Response(presenters.customer(services.update_customer(customer_id=customer_id, **changes)))


class AddressList(ApiView):
    roles = "P"
    query_serializer = AddressFilter
    body_serializers = {"POST": AddressIn}

    @extend_schema(responses=AddressOut(many=True))
    def get(self, request: Request, customer_id: int) -> Response:
        paging = self.paging()
        rows = selectors.addresses(customer_id=customer_id, paging=paging)
        return page(request, paging, rows, position=_position(paging), present=presenters.address)

    @extend_schema(responses=AddressOut)
    def post(self, request: Request, customer_id: int) -> Response:
        body = self.body()
        key = self.idempotency_key("customers.add_address", body)

        def execute() -> tuple[int, Any]:
            return 200, presenters.address(services.add_address(customer_id=customer_id, **body))

        return self.answer_once("customers", key, execute)


class AddressDetail(ApiView):
    roles = "P"
    body_serializers = {"PATCH": AddressIn}

    @extend_schema(responses=AddressOut)
    def get(self, request: Request, customer_id: int, address_id: int) -> Response:
        return Response(presenters.address(selectors.address(customer_id=customer_id, address_id=address_id)))

    @extend_schema(responses=AddressOut)
    def patch(self, request: Request, customer_id: int, address_id: int) -> Response:
        row = services.update_address(customer_id=customer_id, address_id=address_id, **self.body(partial=True))
        return Response(presenters.address(row))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, customer_id: int, address_id: int) -> Response:
        services.delete_address(customer_id=customer_id, address_id=address_id)
        return Response(status=204)
