"""The platform's trail. The app's other tables are declared in the rooms that use them, books and operations."""

from __future__ import annotations

from eci.trail import TrailRow


class Trail(TrailRow):
    """Staff's writes to accounts and to switches of the whole shop."""
