"""Call payments through this object and no other."""

from contexts.payments.public.contracts import Payments
from eci.calls.rpc import client

payments: Payments = client("payments", Payments)
