"""How many rows each table has."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings


def rows() -> dict[str, int]:
    models = [model for context in settings.ECI_CONTEXTS for model in apps.get_app_config(context).get_models()]
    return {model._meta.label: model._default_manager.count() for model in models}
