"""What OPTIONS tells of an endpoint; its bodies are described at /docs."""

from __future__ import annotations

from typing import Any

from rest_framework.metadata import SimpleMetadata


class Metadata(SimpleMetadata):
    def determine_actions(self, request: Any, view: Any) -> dict[str, Any]:
        """None: DRF would read an object from a queryset, and views here answer from services and selectors."""
        return {}
