"""An app so that Django finds its templates and files."""

from django.apps import AppConfig


class DeskConfig(AppConfig):
    name = "config.desk"
    label = "desk"

    def ready(self) -> None:
        from django.contrib import admin

        from config.desk import filters

        filters.install()
        admin.site.enable_nav_sidebar = False  # the desk's menu is in its place: dozens of links, before each form
