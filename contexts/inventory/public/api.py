"""Call inventory through this object and no other."""

from contexts.inventory.public.contracts import Inventory
from eci.calls.rpc import client

inventory: Inventory = client("inventory", Inventory)
