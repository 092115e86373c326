"""Staff's pages of customers."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.decorators import method_decorator

from contexts.customers import domain, selectors, services
from contexts.customers.exports import CUSTOMERS
from contexts.customers.models import Address, Customer, Import, Trail
from eci import text
from eci.forms import EmailField, MetadataField, PhoneField, TextField
from eci.http.exports import Export
from eci.identity.auth import staff_name
from eci.staff import ReadOnly, TrailAdmin
from eci.staff_confirm import confirmed
from eci.staff_exports import ExportedList
from eci.staff_imports import ImportAdmin


class CustomerForm(forms.ModelForm):
    """A customer, with blocking as a tick. The other fields are the API's."""

    email = EmailField(help_text="Another one counts once the link that is mailed to it is followed; this one is told.")
    full_name = TextField(max_length=text.NAME)
    phone = PhoneField(required=False)
    metadata = MetadataField()
    is_blocked = forms.BooleanField(required=False, help_text="Logged out everywhere, and unable to log in.")

    class Meta:
        model = Customer
        fields = ("email", "full_name", "phone", "metadata")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["is_blocked"] = self.instance.blocked_at is not None

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if selectors.email_taken(email=email, besides=self.instance.pk):
            raise forms.ValidationError("Another customer has this e-mail address.")
        return email


class AddressInline(ReadOnly, admin.TabularInline):
    model = Address
    extra = 0
    fields = ("full_name", "line1", "line2", "city", "region", "postal_code", "country", "phone")


_SHOWN = ("new_email", "email_verified_at", "blocked_at", "created_at", "updated_at", "erased_at")


@admin.register(Customer)
class CustomerAdmin(ExportedList):
    exports = (CUSTOMERS,)
    form = CustomerForm
    fields = ("email", "full_name", "phone", "metadata", "is_blocked", *_SHOWN)
    readonly_fields = _SHOWN
    inlines = (AddressInline,)
    delete_confirmation_template = "customers/delete_confirmation.html"
    delete_selected_confirmation_template = "customers/delete_selected_confirmation.html"
    empty_list = "There is no customer yet. They register in the storefront, or come by an import."
    list_display = ("id", "email", "full_name", "phone", "blocked_at", "created_at")
    list_display_links = ("id", "email")
    list_filter = ("created_at",)
    search_fields = ("=id", "phone")
    search_folded = ("email_key", "name_key")
    ordering = ("-created_at", "-id")

    def fold(self, text: str) -> str:
        return domain.search_term(text)

    def save_model(self, request: HttpRequest, obj: Customer, form: Any, change: bool) -> None:
        actor, seen = staff_name(request.user), self.seen_version(request)

        def save() -> int:
            changes = self.changes(form)
            services.update_customer(
                customer_id=obj.pk, actor=actor, version=seen, replace_metadata="metadata" in changes, **changes
            )
            return int(obj.pk)

        self.once(request, "customers", "customer.save", save)

    def exported(self, request: HttpRequest, export: Export) -> None:
        """The trail says who took it, and by which filters; what was looked for may be about a person."""
        services.record_export(
            actor=staff_name(request.user), filters={"filtered_by": ", ".join(sorted(request.GET)) or "nothing"}
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return _is_there(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return _is_there(obj) and super().has_delete_permission(request, obj)

    @method_decorator(confirmed)
    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return super().delete_view(request, object_id, extra_context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        view = confirmed(super().changelist_view) if request.method == "POST" else super().changelist_view
        return view(request, extra_context)

    def delete_model(self, request: HttpRequest, obj: Customer) -> None:
        """Deleting customers means erasing them. Their ids stay, because orders refer to them."""
        actor = staff_name(request.user)
        self.once(
            request, "customers", "customer.erase", lambda: services.erase_customer(customer_id=obj.pk, actor=actor)
        )

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        chosen, actor = list(queryset.values_list("pk", flat=True)), staff_name(request.user)

        def erase() -> None:
            for customer_id in chosen:
                services.erase_customer(customer_id=customer_id, actor=actor)

        self.once(request, "customers", "customer.erase", erase)


admin.site.register(Trail, TrailAdmin)
admin.site.register(Import, ImportAdmin)


def _is_there(customer: Customer | None) -> bool:
    return customer is None or customer.erased_at is None
