"""Call orders through this object and no other."""

from contexts.orders.public.contracts import Orders
from eci.calls.rpc import client

orders: Orders = client("orders", Orders)
