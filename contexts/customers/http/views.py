from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.customers import selectors, services, workflows
from contexts.customers.domain import email_key
from contexts.customers.http import presenters
from contexts.customers.http.serializers import (
    AddressFilter,
    AddressIn,
    AddressOut,
    CustomerFilter,
    CustomerForStaffOut,
    CustomerOut,
    CustomerPatch,
    DoneOut,
    EmailVerifyIn,
    EraseIn,
    LoginIn,
    LoginOut,
    MeIn,
    PasswordChangeIn,
    PasswordResetConfirmIn,
    PasswordResetIn,
    RefreshedOut,
    RefreshIn,
    RegistrationIn,
    RevokedOut,
    StaffLoginOut,
)
from eci.errors import IdempotencyKeyReused
from eci.http import commands
from eci.http.paging import page
from eci.http.rates import password_guess
from eci.http.views import ApiView
from eci.identity.passwords import hash_password, matches
from eci.identity.roles import EVERYBODY, Role, only
from eci.paging import Paging


def _position(paging: Paging) -> Any:
    return lambda row: (row[paging.field], row["id"])


class Register(ApiView):
    roles = EVERYBODY
    rate: ClassVar = {"POST": "register"}
    body_serializers = {"POST": RegistrationIn}

    @extend_schema(responses={201: CustomerOut})
    def post(self, request: Request) -> Response:
        body = self.body()
        password = body.pop("password")  # no part of the key's digest, which would make guessing it cheap
        key = self.idempotency_key("customers.register", body)
        password_hash = functools.cache(lambda: hash_password(password))

        def execute() -> tuple[int, Any]:
            return 201, presenters.customer(services.register_customer(password_hash=password_hash(), **body))

        answer = commands.once("customers", key, execute, prepare=password_hash, about=lambda data: data["customer_id"])
        if "Idempotent-Replayed" in answer.headers and answer.status_code == 201:
            with password_guess(request, f"customer:{email_key(body['email'])}", wrong=IdempotencyKeyReused):
                self._require_same(password, answer.data["customer_id"])
        return answer

    def _require_same(self, password: str, customer_id: int) -> None:
        if not matches(password, selectors.password_of(customer_id=customer_id)):
            raise IdempotencyKeyReused("This idempotency key was used for a different request.")


class TokenView(ApiView):
    """Called with a password or a secret in the body. An access token, which may have ended, is not looked at; nor is
    an answer remembered: it would have to be kept with its tokens."""

    roles = EVERYBODY
    authentication_classes = ()
    keyed_methods: ClassVar[tuple[str, ...]] = ()


class Login(TokenView):
    rate: ClassVar = {"POST": "login"}
    body_serializers = {"POST": LoginIn}

    @extend_schema(responses=LoginOut)
    def post(self, request: Request) -> Response:
        body = self.body()
        with password_guess(request, f"customer:{email_key(body['email'])}"):
            login = workflows.log_in(**body)
        return _private(presenters.login(login))


class StaffToken(TokenView):
    rate: ClassVar = {"POST": "login"}
    body_serializers = {"POST": LoginIn}

    @extend_schema(responses=StaffLoginOut)
    def post(self, request: Request) -> Response:
        body = self.body()
        with password_guess(request, f"staff:{email_key(body['email'])}"):
            login = workflows.log_in_staff(**body)
        return _private(presenters.login(login))


class TokenRefresh(TokenView):
    keyed_methods = ("POST",)
    body_serializers = {"POST": RefreshIn}

    @extend_schema(responses=RefreshedOut)
    def post(self, request: Request) -> Response:
        """Each refresh token is good once; a second use ends the login. Who lost the answer gets it again with the
        same Idempotency-Key within a minute."""
        key = self._key_given({}) or ""
        return _private(presenters.login(workflows.refresh(token=self.body()["refresh"], key=key)))


class Logout(TokenView):
    body_serializers = {"POST": RefreshIn}

    @extend_schema(responses=DoneOut)
    def post(self, request: Request) -> Response:
        """End the login that the refresh token stems from; its access tokens end with it."""
        services.end_family(token=self.body()["refresh"])
        return Response({"message": "Logged out."})


class PasswordReset(TokenView):
    rate: ClassVar = {"POST": "reset"}
    body_serializers = {"POST": PasswordResetIn}

    @extend_schema(responses=DoneOut)
    def post(self, request: Request) -> Response:
        """Answers the same whether or not there is such an account."""
        services.request_password_reset(email=self.body()["email"])
        return Response({"message": "If there is an account with this address, a mail is on its way."})


class PasswordResetConfirm(TokenView):
    rate: ClassVar = {"POST": "reset"}
    body_serializers = {"POST": PasswordResetConfirmIn}

    @extend_schema(responses=DoneOut)
    def post(self, request: Request) -> Response:
        """Set a new password with the token of the mail; every login of the account ends."""
        body = self.body()
        workflows.reset_password(secret=body["token"], password=body["new_password"])
        return Response({"message": "The password was changed. Please log in."})


class EmailVerify(TokenView):
    body_serializers = {"POST": EmailVerifyIn}

    @extend_schema(responses=DoneOut)
    def post(self, request: Request) -> Response:
        services.verify_email(secret=self.body()["token"])
        return Response({"message": "The e-mail address is confirmed."})


def _private(data: dict[str, Any]) -> Response:
    return Response(data, headers={"Cache-Control": "no-store"})


class OwnAccount(ApiView):
    """What a customer does with their account; guesses at its password count as those of its logins do."""

    roles = only(Role.CUSTOMER)

    def guess(self) -> AbstractContextManager[None]:
        customer = selectors.customer(customer_id=self.caller.own())
        return password_guess(self.request, f"customer:{email_key(customer['email'])}", wrong=workflows.WrongPassword)


class Me(OwnAccount):
    body_serializers = {"PATCH": MeIn, "DELETE": EraseIn}

    @extend_schema(responses=CustomerOut)
    def get(self, request: Request) -> Response:
        return Response(presenters.customer(selectors.customer(customer_id=self.caller.own())))

    @extend_schema(responses=CustomerOut)
    def patch(self, request: Request) -> Response:
        changes = self.body(partial=True)
        password = changes.pop("current_password", "")
        with self.guess() if "email" in changes else nullcontext():
            row = workflows.change_own(customer_id=self.caller.own(), current_password=password, changes=changes)
        return Response(presenters.customer(row))

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        """Erase me: the orders stay, without anything that tells whose they were. More than 15 minutes after logging
        in, `current_password` must be in the body."""
        password = self.body()["current_password"]
        with self.guess():
            workflows.erase_own(customer_id=self.caller.own(), session=self.caller.session, current_password=password)
        return Response(status=204)


class PasswordChange(OwnAccount):
    rate: ClassVar = {"POST": "login"}
    keyed_methods = ()
    body_serializers = {"POST": PasswordChangeIn}

    @extend_schema(responses=LoginOut)
    def post(self, request: Request) -> Response:
        """Every login ends, the caller's too; the answer is a new one."""
        body = self.body()
        with self.guess():
            login = workflows.change_password(
                customer_id=self.caller.own(), current=body["current_password"], new=body["new_password"]
            )
        return _private(presenters.login(login))


class SessionsRevoke(ApiView):
    roles = only(Role.CUSTOMER)
    keyed_methods = ()

    @extend_schema(request=None, responses=RevokedOut)
    def post(self, request: Request) -> Response:
        """Log out everywhere, here too."""
        return Response({"revoked": services.revoke_all(customer_id=self.caller.own())})


class CustomerList(ApiView):
    roles = only(Role.SUPPORT)
    query_serializer = CustomerFilter

    @extend_schema(responses=CustomerForStaffOut(many=True))
    def get(self, request: Request) -> Response:
        paging = self.paging()
        rows = selectors.customers(paging=paging, email=self.query.get("email", ""))
        return page(request, paging, rows, position=_position(paging), present=presenters.customer_for_staff)


class CustomerDetail(ApiView):
    roles = only(Role.SUPPORT)
    body_serializers = {"PATCH": CustomerPatch}

    @extend_schema(responses=CustomerForStaffOut)
    def get(self, request: Request, customer_id: int) -> Response:
        return Response(presenters.customer_for_staff(selectors.customer(customer_id=customer_id)))

    @extend_schema(responses=CustomerForStaffOut)
    def patch(self, request: Request, customer_id: int) -> Response:
        row = services.update_customer(customer_id=customer_id, **self.body(partial=True))
        return Response(presenters.customer_for_staff(row))


class AddressList(ApiView):
    """Of the customer in the path; ``MyAddressList``: of the caller."""

    roles = only(Role.SUPPORT)
    query_serializer = AddressFilter
    body_serializers = {"POST": AddressIn}

    @extend_schema(responses=AddressOut(many=True))
    def get(self, request: Request, customer_id: int | None = None) -> Response:
        paging = self.paging()
        rows = selectors.addresses(customer_id=_whose(self, customer_id), paging=paging)
        return page(request, paging, rows, position=_position(paging), present=presenters.address)

    @extend_schema(responses=AddressOut)
    def post(self, request: Request, customer_id: int | None = None) -> Response:
        body = self.body()
        owner = _whose(self, customer_id)
        key = self.idempotency_key("customers.add_address", body)

        def execute() -> tuple[int, Any]:
            return 200, presenters.address(services.add_address(customer_id=owner, **body))

        return commands.once("customers", key, execute, about=lambda data: owner)


class AddressDetail(ApiView):
    """As ``AddressList``."""

    roles = only(Role.SUPPORT)
    body_serializers = {"PATCH": AddressIn}

    @extend_schema(responses=AddressOut)
    def get(self, request: Request, address_id: int, customer_id: int | None = None) -> Response:
        row = selectors.address(customer_id=_whose(self, customer_id), address_id=address_id)
        return Response(presenters.address(row))

    @extend_schema(responses=AddressOut)
    def patch(self, request: Request, address_id: int, customer_id: int | None = None) -> Response:
        changes = self.body(partial=True)
        row = services.update_address(customer_id=_whose(self, customer_id), address_id=address_id, **changes)
        return Response(presenters.address(row))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, address_id: int, customer_id: int | None = None) -> Response:
        services.delete_address(customer_id=_whose(self, customer_id), address_id=address_id)
        return Response(status=204)


def _whose(view: ApiView, customer_id: int | None) -> int:
    return view.caller.own() if customer_id is None else customer_id


class MyAddressList(AddressList):
    roles = only(Role.CUSTOMER)


class MyAddressDetail(AddressDetail):
    roles = only(Role.CUSTOMER)
