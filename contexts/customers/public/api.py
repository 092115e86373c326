"""The object through which other contexts call customers."""

from contexts.customers.public.contracts import Customers
from eci.calls.rpc import client

customers: Customers = client("customers", Customers)
