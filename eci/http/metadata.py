"""The answer to OPTIONS. It describes no bodies: /docs does."""

from __future__ import annotations

from typing import Any

from rest_framework.metadata import SimpleMetadata


class Metadata(SimpleMetadata):
    """DRF's own, without what it would read from a queryset."""

    def determine_actions(self, request: Any, view: Any) -> dict[str, Any]:
        """None: our views have no queryset."""
        return {}
