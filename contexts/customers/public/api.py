"""Call customers through this object and no other."""

from contexts.customers.public.contracts import Customers
from eci.calls.rpc import client

customers: Customers = client("customers", Customers)
