"""Payments: what is due, and the money taken and refunded for it."""
