"""The contract, answered in this process."""

from __future__ import annotations

from contexts.notifications import selectors
from contexts.notifications.public.contracts import Notifications


class LocalNotifications(Notifications):
    def waiting(self) -> int:
        return selectors.waiting()
