"""The app ``staff``: its label owns the tables and migrations of books and operations too."""

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.db.models.signals import post_migrate


class StaffConfig(AppConfig):
    """Staff's accounts and pages; the label under which all rooms of config keep their tables."""

    name = "config.staff"
    label = "staff"

    def ready(self) -> None:
        from config import checks
        from config.staff import groups

        _ = checks  # imported for what it registers
        post_migrate.connect(groups.after_migrate, dispatch_uid="config.staff.groups")


class StaffSiteConfig(SimpleAdminConfig):
    """Django's admin, with a site of ours, which loads its pages itself."""

    default_site = "config.staff.site.StaffSite"
