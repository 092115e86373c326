"""Call payments through this object and no other."""

from contexts.payments.public.contracts import Payments
from eci.rpc import client

payments: Payments = client("payments", Payments)
