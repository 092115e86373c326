"""The front page, staff's second factor, and their sign-in elsewhere.

Included before the admin's own pages, whose last one takes any path.
"""

from django.contrib import admin
from django.urls import path
from django.views.decorators.http import require_POST

from config.staff import home, provider, second_factor
from eci.staff_confirm import confirmed

urlpatterns = [
    path("", home.home),
    path("admin/login/code/", second_factor.code_page, name="staff-second-factor-code"),
    path("admin/login/provider/", provider.start, name="staff-provider"),
    path("admin/login/provider/callback/", provider.callback, name="staff-provider-callback"),
    path(
        "admin/second-factor/",
        admin.site.admin_view(confirmed(second_factor.own_page)),
        name="staff-second-factor",
    ),
    path(
        "admin/second-factor/replace/",
        admin.site.admin_view(confirmed(second_factor.replace_page)),
        name="staff-second-factor-replace",
    ),
    path(
        "admin/second-factor/recovery-codes/",
        admin.site.admin_view(require_POST(confirmed(second_factor.recovery_codes))),
        name="staff-recovery-codes",
    ),
    path(
        "admin/second-factor/remove/",
        admin.site.admin_view(require_POST(confirmed(second_factor.remove))),
        name="staff-second-factor-remove",
    ),
]
