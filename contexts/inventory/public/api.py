"""The one object through which other contexts call inventory."""

from contexts.inventory.public.contracts import Inventory
from eci.calls.rpc import client

inventory: Inventory = client("inventory", Inventory)
