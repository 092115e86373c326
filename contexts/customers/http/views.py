"""Accounts, customers and their addresses over HTTP."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.customers import selectors, services, workflows
from contexts.customers.domain import customer_account, staff_account
from contexts.customers.exports import CUSTOMERS, customer_cells
from contexts.customers.http import presenters
from contexts.customers.http.serializers import (
    AddressIn,
    AddressListQuery,
    AddressOut,
    CustomerExportQuery,
    CustomerForStaffIn,
    CustomerForStaffOut,
    CustomerListQuery,
    CustomerOut,
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
    RegisterIn,
    RevokedOut,
    StaffLoginIn,
    StaffLoginOut,
)
from contexts.customers.selectors import BadSecret, Row
from eci.errors import EciError, IdempotencyKeyReused, NotAuthenticated
from eci.http import commands, conditional
from eci.http.exports import FILE, ExportView
from eci.http.imports import ImportListView
from eci.http.paging import page
from eci.http.rates import named, password_guess
from eci.http.views import ApiView
from eci.identity.names import staff_named
from eci.identity.passwords import hash_password
from eci.identity.roles import EVERYBODY, Role, only
from eci.paging import Paging

# -- registering and logging in ---------------------------------------------------------------------------------------


class RegisterView(ApiView):
    roles = EVERYBODY
    rate = {"POST": "register"}
    body_serializers = {"POST": RegisterIn}

    @extend_schema(responses={201: CustomerOut})
    def post(self, request: Request) -> Response:
        """Register as a customer."""
        body = self.body()
        password = body.pop("password")  # not in the key's fingerprint, from which it would be cheap to guess
        workflows.require_impersonal(password=password, email=body["email"], full_name=body["full_name"])
        hashed = functools.cache(lambda: hash_password(password))
        answer = commands.once(
            "customers",
            self.idempotency_key("customers.register", body),
            lambda: (201, presenters.customer(services.register_customer(password_hash=hashed(), **body))),
            prepare=hashed,
            about=lambda data: data["customer_id"],
        )
        if answer.status_code == 201 and "Idempotent-Replayed" in answer.headers:
            with _guess(request, body["email"], wrong=IdempotencyKeyReused):
                workflows.require_same_password(customer_id=answer.data["customer_id"], password=password)
        return answer


class TokenView(ApiView):
    """Base of the views that take a password or a secret in the body.

    They ignore any access token, which may have expired, and keep no answer, because it may hold tokens.
    """

    roles = EVERYBODY
    authentication_classes = ()
    keyed_methods = ()


class LoginView(TokenView):
    rate = {"POST": "login"}
    body_serializers = {"POST": LoginIn}

    @extend_schema(responses=LoginOut)
    def post(self, request: Request) -> Response:
        """Log in as a customer."""
        body = self.body()
        with _guess(request, body["email"]):
            login = workflows.log_in(**body)
        return _private(presenters.login(login))


class StaffTokenView(TokenView):
    rate = {"POST": "login"}
    body_serializers = {"POST": StaffLoginIn}

    @extend_schema(responses=StaffLoginOut)
    def post(self, request: Request) -> Response:
        """Log in as a member of staff. 401 `second_factor_required`: the password was right, send it again with
        `otp`."""
        body = self.body()
        found = staff_named(body["email"])
        account = staff_account(found.pk) if found else ""
        with password_guess(request, account, name=named("staff", body["email"])):
            login = workflows.log_in_staff(**body)
        return _private(presenters.login(login))


class TokenRefreshView(ApiView):
    """Takes no access token either. The idempotency key yields the same tokens again, so no answer is kept."""

    roles = EVERYBODY
    authentication_classes = ()
    body_serializers = {"POST": RefreshIn}

    @extend_schema(responses=RefreshedOut)
    def post(self, request: Request) -> Response:
        """Get new tokens. Each refresh token is good once; a second use ends the login. If the answer is lost, repeat
        the request with the same Idempotency-Key within a minute."""
        key = self.idempotency_key("customers.refresh", {})
        login = workflows.refresh(token=self.body()["refresh"], key=key.key if key else "")
        return _private(presenters.login(login))


class LogoutView(TokenView):
    body_serializers = {"POST": RefreshIn}

    @extend_schema(responses=DoneOut)
    def post(self, request: Request) -> Response:
        """End the login that the refresh token stems from. Its access tokens end with it."""
        services.end_family(token=self.body()["refresh"])
        return Response({"message": "Logged out."})


class PasswordResetView(TokenView):
    rate = {"POST": "reset"}
    body_serializers = {"POST": PasswordResetIn}

    @extend_schema(responses=DoneOut)
    def post(self, request: Request) -> Response:
        """Ask for a mail with a token for a new password. The answer is the same whether or not there is an account."""
        services.request_password_reset(email=self.body()["email"])
        return Response({"message": "If there is an account with this address, a mail is on its way."})


class PasswordResetConfirmView(TokenView):
    rate = {"POST": "reset"}
    body_serializers = {"POST": PasswordResetConfirmIn}

    @extend_schema(responses=DoneOut)
    def post(self, request: Request) -> Response:
        """Set a new password with the token from the mail. Every login of the account ends."""
        body = self.body()
        with password_guess(request, "", wrong=BadSecret):
            workflows.reset_password(secret=body["token"], password=body["new_password"])
        return Response({"message": "The password was changed. Please log in."})


class EmailVerifyView(TokenView):
    body_serializers = {"POST": EmailVerifyIn}

    @extend_schema(responses=DoneOut)
    def post(self, request: Request) -> Response:
        """Confirm an e-mail address with the token from the mail. An account that was to move there has moved."""
        with password_guess(request, "", wrong=BadSecret):
            services.verify_email(secret=self.body()["token"])
        return Response({"message": "The e-mail address is confirmed."})


def _guess(request: Request, email: str, *, wrong: type[EciError] = NotAuthenticated) -> AbstractContextManager[None]:
    """Around the check of a password that somebody gives with an e-mail address."""
    found = selectors.customer_with(email=email)
    account = "" if found is None else customer_account(found)
    return password_guess(request, account, name=named("customer", email), wrong=wrong)


def _private(data: dict[str, Any]) -> Response:
    return Response(data, headers={"Cache-Control": "no-store"})


# -- a customer's own account -----------------------------------------------------------------------------------------


class OwnAccountView(ApiView):
    """Base of the views with which customers change their account."""

    roles = only(Role.CUSTOMER)

    def guess(self) -> AbstractContextManager[None]:
        """Around the check of a password: wrong ones count together with those of logins."""
        customer = selectors.customer(customer_id=self.caller.own())
        account, name = customer_account(customer["id"]), named("customer", customer["email"])
        return password_guess(self.request, account, name=name, wrong=workflows.WrongPassword)


class MeView(OwnAccountView):
    body_serializers = {"PATCH": MeIn, "DELETE": EraseIn}
    conditional_methods = ("PATCH",)

    @extend_schema(responses=CustomerOut)
    def get(self, request: Request) -> HttpResponseBase:
        """The caller's account."""
        row = selectors.customer(customer_id=self.caller.own())
        return conditional.answer(request, presenters.customer(row), version=row["version"], detail=row["id"])

    @extend_schema(responses=CustomerOut)
    def patch(self, request: Request) -> Response:
        """Change the given fields of the caller's account. A new e-mail address needs `current_password`, and counts
        once the link that is mailed to it is followed; then every other login ends. The old address is told."""
        changes = self.body(partial=True)
        password = changes.pop("current_password", "")
        with self.guess() if "email" in changes else nullcontext():
            row = workflows.change_own(
                customer_id=self.caller.own(),
                actor=self.caller.name,
                session=self.caller.session,
                current_password=password,
                changes=changes,
                version=self.if_match(),
            )
        return Response(presenters.customer(row), headers=conditional.etag(row["version"], row["id"]))

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        """Erase the caller. Their orders stay, without anything that shows whose they were. More than 15 minutes after
        logging in, the body must have `current_password`."""
        password = self.body()["current_password"]
        with self.guess():
            workflows.erase_own(
                customer_id=self.caller.own(),
                actor=self.caller.name,
                session=self.caller.session,
                current_password=password,
            )
        return Response(status=204)


class PasswordChangeView(OwnAccountView):
    rate = {"POST": "login"}
    keyed_methods = ()
    body_serializers = {"POST": PasswordChangeIn}

    @extend_schema(responses=LoginOut)
    def post(self, request: Request) -> Response:
        """Set a new password. Every login ends, the caller's too; the answer is a new login."""
        body = self.body()
        with self.guess():
            login = workflows.change_password(
                customer_id=self.caller.own(), current=body["current_password"], new=body["new_password"]
            )
        return _private(presenters.login(login))


class SessionsRevokeView(ApiView):
    roles = only(Role.CUSTOMER)
    keyed_methods = ()

    @extend_schema(request=None, responses=RevokedOut)
    def post(self, request: Request) -> Response:
        """Log out everywhere, here too."""
        return Response({"revoked": services.end_families(customer_id=self.caller.own())})


# -- customers, for staff ---------------------------------------------------------------------------------------------


class CustomerListView(ApiView):
    roles = only(Role.SUPPORT)
    query_serializer = CustomerListQuery

    @extend_schema(responses=CustomerForStaffOut(many=True))
    def get(self, request: Request) -> Response:
        """The customers, newest first unless `ordering` says otherwise. `email` matches whole, in any case."""
        paging = self.paging()
        rows = selectors.customers(paging=paging, email=self.query.get("email", ""))
        return page(request, paging, rows, position=_position(paging), present=presenters.customer_for_staff)


class CustomerExportView(ExportView):
    roles = only(Role.ADMIN)
    query_serializer = CustomerExportQuery
    columns = CUSTOMERS.columns

    @extend_schema(responses=FILE)
    def get(self, request: Request) -> HttpResponseBase:
        """The customers that the list's filters find, as a csv or xlsx file (`format`). The trail says who took it."""
        self.form()  # what is refused is not recorded
        services.record_export(actor=self.caller.name, filters={name: str(self.query[name]) for name in self.query})
        email = self.query.get("email", "")
        pages = self.pages(
            lambda paging: selectors.customers(paging=paging, email=email),
            lambda row, paging: (row[paging.field], row["id"]),
        )
        return self.exported("customers", (customer_cells(row) for rows in pages for row in rows))


class CustomerImportView(ImportListView):
    tag = "customers"
    roles = only(Role.SUPPORT)
    kinds = ("customers",)


class CustomerDetailView(ApiView):
    roles = only(Role.SUPPORT)
    body_serializers = {"PATCH": CustomerForStaffIn}
    conditional_methods = ("PATCH",)

    @extend_schema(responses=CustomerForStaffOut)
    def get(self, request: Request, customer_id: int) -> HttpResponseBase:
        """One customer."""
        row = selectors.customer(customer_id=customer_id)
        return conditional.answer(request, presenters.customer_for_staff(row), version=row["version"])

    @extend_schema(responses=CustomerForStaffOut)
    def patch(self, request: Request, customer_id: int) -> Response:
        """Change the given fields of a customer. A new e-mail address counts once the link that is mailed to it is
        followed, and the old one is told. Blocking a customer ends all their logins."""
        row = services.update_customer(
            customer_id=customer_id, actor=self.caller.name, version=self.if_match(), **self.body(partial=True)
        )
        return Response(presenters.customer_for_staff(row), headers=conditional.etag(row["version"]))


# -- addresses, for staff and for their owners ------------------------------------------------------------------------


class AddressListView(ApiView):
    """Of the customer in the path; ``MyAddressListView``: of the caller."""

    roles = only(Role.SUPPORT)
    query_serializer = AddressListQuery
    body_serializers = {"POST": AddressIn}

    @extend_schema(responses=AddressOut(many=True))
    def get(self, request: Request, customer_id: int | None = None) -> Response:
        """The customer's addresses, newest first unless `ordering` says otherwise."""
        paging = self.paging()
        rows = selectors.addresses(paging=paging, customer_id=_owner(self, customer_id))
        return page(request, paging, rows, position=_position(paging), present=presenters.address)

    @extend_schema(responses=AddressOut)
    def post(self, request: Request, customer_id: int | None = None) -> Response:
        """Add an address."""
        body = self.body()
        owner = _owner(self, customer_id)
        return commands.once(
            "customers",
            self.idempotency_key("customers.add_address", body),
            lambda: (200, presenters.address(services.add_address(customer_id=owner, actor=self.caller.name, **body))),
            about=lambda data: owner,
        )


class AddressDetailView(ApiView):
    """As ``AddressListView``."""

    roles = only(Role.SUPPORT)
    body_serializers = {"PATCH": AddressIn}

    @extend_schema(responses=AddressOut)
    def get(self, request: Request, address_id: int, customer_id: int | None = None) -> Response:
        """One address of the customer."""
        row = selectors.address(customer_id=_owner(self, customer_id), address_id=address_id)
        return Response(presenters.address(row))

    @extend_schema(responses=AddressOut)
    def patch(self, request: Request, address_id: int, customer_id: int | None = None) -> Response:
        """Change the given fields of an address."""
        changes = self.body(partial=True)
        row = services.update_address(
            customer_id=_owner(self, customer_id), actor=self.caller.name, address_id=address_id, **changes
        )
        return Response(presenters.address(row))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, address_id: int, customer_id: int | None = None) -> Response:
        """Remove an address. Orders keep their own copy."""
        services.delete_address(customer_id=_owner(self, customer_id), actor=self.caller.name, address_id=address_id)
        return Response(status=204)


class MyAddressListView(AddressListView):
    roles = only(Role.CUSTOMER)


class MyAddressDetailView(AddressDetailView):
    roles = only(Role.CUSTOMER)


def _owner(view: ApiView, customer_id: int | None) -> int:
    return view.caller.own() if customer_id is None else customer_id


def _position(paging: Paging) -> Callable[[Row], tuple[Any, Any]]:
    return lambda row: (row[paging.field], row["id"])
