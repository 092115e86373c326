"""Call notifications through this object and no other."""

from contexts.notifications.public.contracts import Notifications
from eci.calls.rpc import client

notifications: Notifications = client("notifications", Notifications)
