"""Staff's accounts and groups, with the trail of what is done to them, and the page of that trail."""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group, User
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.staff import accounts
from config.staff.models import Trail
from eci import staff_forms, trail
from eci.db import locked, unit_of_work
from eci.errors import EciError, PreconditionFailed
from eci.forms import EmailField, TextField
from eci.identity.auth import staff_name
from eci.staff import StaffAdmin, TrailAdmin
from eci.staff_confirm import confirmed

_TAKEN = "Another account has this address, and staff sign in with it."


def _require_free(form: Any, user: User, *, counts: bool) -> None:
    """One address, one account: an address that two can sign in with is nobody's. ``counts``: whether this one can."""
    for field in ("username", "email"):
        address = form.cleaned_data.get(field, getattr(user, field))
        if counts and address and accounts.holder(address, besides=user.pk):
            raise forms.ValidationError({field if field in form.fields else "password1": _TAKEN})


def _new_name(form: Any, besides: int | None) -> str:
    name: str = form.cleaned_data["username"]
    if "username" not in form.changed_data:
        return name
    try:
        return accounts.new_name(name, besides=besides)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from None


class NewAccountForm(AdminUserCreationForm):
    """Name, address and password of a new account."""

    email = EmailField(required=False)

    def clean_username(self) -> str:
        name = super().clean_username()  # None, if Django has found another's
        return _new_name(self, None) if name else name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        _require_free(self, self.instance, counts=True)
        return cleaned


class AccountForm(UserChangeForm):
    """An account's name, address and rights."""

    first_name = TextField(max_length=150, required=False)
    last_name = TextField(max_length=150, required=False)
    email = EmailField(required=False)

    def clean_username(self) -> str:
        return _new_name(self, self.instance.pk)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        active = cleaned.get("is_active", self.instance.is_active)
        _require_free(self, self.instance, counts=active and self.instance.has_usable_password())
        groups = {group.name for group in cleaned.get("groups", ())}
        is_admin = cleaned.get("is_superuser", False)
        if "groups" in self.changed_data and accounts.MACHINES in groups and (is_admin or len(groups) > 1):
            raise forms.ValidationError({"groups": accounts.ONLY_A_MACHINE})
        return cleaned


class PasswordForm(AdminPasswordChangeForm):
    """A new password, with which a locked account may sign in again."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        _require_free(self, self.user, counts=self.user.is_active)
        return cleaned


class Trailed(StaffAdmin):
    """Its writes leave a trail, in the transaction that writes. What a person did not change is not written back.

    Whoever writes here may make themselves an administrator: the session's owner confirms that it is them.
    """

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        view = confirmed(super().changelist_view) if request.method == "POST" else super().changelist_view
        return view(request, extra_context)

    @method_decorator(confirmed)
    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return super().delete_view(request, object_id, extra_context)

    @method_decorator(confirmed)
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with unit_of_work(DEFAULT_DB_ALIAS) if request.method == "POST" else nullcontext():
            return super().changeform_view(request, *args, **kwargs)

    def version_of(self, obj: Any) -> int:
        """A number made of what the page shows: these tables are Django's, and have no column for a version."""
        shown = model_to_dict(obj, exclude=["password", "last_login", "date_joined"])
        plain = {
            name: sorted(row.pk for row in value) if isinstance(value, list) else str(value)
            for name, value in shown.items()
        }
        return int(hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:15], 16)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = locked(type(obj).objects.filter(pk=obj.pk)).get() if change else None
        if before and self.seen_version(request) != self.version_of(before):
            raise PreconditionFailed("This has changed meanwhile.")
        form.facts_before = accounts.facts(before) if before else {}
        if not change:
            super().save_model(request, obj, form, change)
        elif fields := {field.name for field in obj._meta.concrete_fields} & set(form.changed_data):
            obj.save(update_fields=fields)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        for field in form.instance._meta.many_to_many if change else ():
            if field.name not in form.changed_data:
                form.cleaned_data.pop(field.name, None)
        super().save_related(request, form, formsets, change)
        self._record(request, form.instance, form.facts_before, accounts.facts(form.instance))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with unit_of_work(DEFAULT_DB_ALIAS):
            self._record(request, obj, accounts.facts(obj), {})
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def _record(self, request: HttpRequest, obj: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
        what = "changed" if before and after else "deleted" if before else "created"
        trail.record(
            "staff",
            actor=staff_name(request.user),
            action=f"{accounts.thing(obj).partition(':')[0]} {what}",
            thing=accounts.thing(obj),
            before=before,
            after=after,
        )


class AccountAdmin(Trailed, UserAdmin):
    form = AccountForm
    add_form = NewAccountForm
    add_form_template = "eci/add_user.html"
    change_password_form = PasswordForm
    change_user_password_template = "eci/change_user_password.html"  # noqa: S105 - a template
    readonly_fields = ("last_login", "date_joined")
    add_fieldsets = ((None, {"fields": ("username", "email", "usable_password", "password1", "password2")}),)

    @method_decorator(confirmed)
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        try:
            if request.method == "POST":
                staff_forms.key_of(request, "password")
        except EciError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        page = super().user_change_password(request, id, form_url)
        if isinstance(page, TemplateResponse) and page.context_data is not None:
            page.context_data["form_key"] = staff_forms.key_for(request)
        return page

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if any("password" in part.get("changed", {}).get("fields", []) for part in _parts(message)):
            accounts.record_new_password(obj, actor=staff_name(request.user))
        return super().log_change(request, obj, message)


def _parts(message: Any) -> list[dict[str, Any]]:
    return [part for part in message if isinstance(part, dict)] if isinstance(message, list) else []


class StaffGroupAdmin(Trailed, GroupAdmin):
    """Django's page of groups."""


admin.site.unregister([User, Group, TOTPDevice, StaticDevice])  # nobody reads the keys of others' devices
admin.site.index_template = "staff/index.html"
admin.site.login_template = "staff/login.html"
admin.site.register(User, AccountAdmin)
admin.site.register(Group, StaffGroupAdmin)
admin.site.register(Trail, TrailAdmin)
