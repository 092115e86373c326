"""Call shipping through this object and no other."""

from contexts.shipping.public.contracts import Shipping
from eci.calls.rpc import client

shipping: Shipping = client("shipping", Shipping)
