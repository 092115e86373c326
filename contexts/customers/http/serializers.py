"""Customers' input and output over HTTP."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from rest_framework import serializers

from contexts.customers.domain import known_email
from eci import text
from eci.http.exports import WholeList
from eci.http.fields import EmailField, MetadataField, PhoneField, StrictBooleanField, TextField
from eci.http.paging import OrderingField, QuerySerializer

MAX_SECRET = 200


class PasswordField(TextField):
    """A new password. Django's validators check it; open mode, for development, only asks for six characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 200, "trim_whitespace": False, "write_only": True, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        password = super().to_internal_value(data)
        if not settings.ECI_OPEN:
            try:
                validate_password(password)
            except ValidationError as error:
                raise serializers.ValidationError(error.messages) from None
        elif len(password) < 6:
            raise serializers.ValidationError("A password has at least 6 characters.")
        return password


class GivenPasswordField(TextField):
    """A password to compare with the existing one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 200, "trim_whitespace": False, "write_only": True, **kwargs})


class CustomerIn(serializers.Serializer[Any]):
    email = EmailField()
    full_name = TextField(max_length=text.NAME)
    phone = PhoneField()


class RegisterIn(CustomerIn):
    password = PasswordField()


class CustomerForStaffIn(CustomerIn):
    is_blocked = StrictBooleanField(required=False)
    metadata = MetadataField(required=False)


class MeIn(CustomerIn):
    current_password = GivenPasswordField(required=False, help_text="Needed to change the e-mail address.")


class EraseIn(serializers.Serializer[Any]):
    current_password = GivenPasswordField(default="", allow_blank=True)


class LoginIn(serializers.Serializer[Any]):
    email = TextField(max_length=text.EMAIL)
    password = GivenPasswordField()


class StaffLoginIn(LoginIn):
    otp = GivenPasswordField(
        required=False,
        allow_blank=True,
        help_text="The code of an account with a second factor, or one of its recovery codes.",
    )


class RefreshIn(serializers.Serializer[Any]):
    refresh = TextField(max_length=MAX_SECRET)


class PasswordChangeIn(serializers.Serializer[Any]):
    current_password = GivenPasswordField()
    new_password = PasswordField()


class KnownEmailField(EmailField):
    """An address to compare with those that are kept, some of which are older than today's rule."""

    def intake(self, given: str) -> str:
        return known_email(given)


class PasswordResetIn(serializers.Serializer[Any]):
    email = KnownEmailField()


class PasswordResetConfirmIn(serializers.Serializer[Any]):
    token = TextField(max_length=MAX_SECRET)
    new_password = PasswordField()


class EmailVerifyIn(serializers.Serializer[Any]):
    token = TextField(max_length=MAX_SECRET)


class CustomerListQuery(QuerySerializer):
    ordering = OrderingField("created_at")
    email = TextField(required=False, max_length=text.EMAIL)


class CustomerExportQuery(WholeList, CustomerListQuery):
    """The same filters, for all rows."""


class AddressIn(serializers.Serializer[Any]):
    full_name = TextField(max_length=text.NAME, required=False, allow_blank=True)
    line1 = TextField(max_length=200)
    line2 = TextField(max_length=200, required=False, allow_blank=True)
    city = TextField(max_length=100)
    region = TextField(max_length=100, required=False, allow_blank=True)
    postal_code = TextField(max_length=20, required=False, allow_blank=True)
    country = TextField(max_length=60)
    phone = PhoneField()


class AddressListQuery(QuerySerializer):
    ordering = OrderingField("created_at")


class CustomerOut(serializers.Serializer[Any]):
    customer_id = serializers.IntegerField()
    email = serializers.CharField()
    new_email = serializers.CharField(
        allow_null=True, help_text="Becomes `email` once the link that was mailed to it is followed."
    )
    full_name = serializers.CharField()
    phone = serializers.CharField()
    email_verified = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class CustomerForStaffOut(CustomerOut):
    is_blocked = serializers.BooleanField()
    metadata = serializers.DictField(child=serializers.CharField())


class TokensOut(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")
    refresh = serializers.CharField(help_text="Good for one refresh.")
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(help_text="Lifetime of the access token, in seconds.")


class LoginOut(TokensOut):
    customer_id = serializers.IntegerField()


class StaffLoginOut(TokensOut):
    roles = serializers.ListField(child=serializers.CharField())


class RefreshedOut(TokensOut):
    customer_id = serializers.IntegerField(required=False, help_text="For a customer.")
    roles = serializers.ListField(child=serializers.CharField(), required=False, help_text="For staff.")


class RevokedOut(serializers.Serializer[Any]):
    revoked = serializers.IntegerField(help_text="The number of logins that were ended.")


class DoneOut(serializers.Serializer[Any]):
    message = serializers.CharField()


class AddressOut(serializers.Serializer[Any]):
    address_id = serializers.IntegerField()
    full_name = serializers.CharField()
    line1 = serializers.CharField()
    line2 = serializers.CharField()
    city = serializers.CharField()
    region = serializers.CharField()
    postal_code = serializers.CharField()
    country = serializers.CharField()
    phone = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
