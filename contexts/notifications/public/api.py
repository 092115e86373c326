"""The one object through which notifications is called."""

from contexts.notifications.public.contracts import Notifications
from eci.calls.rpc import client

notifications: Notifications = client("notifications", Notifications)
