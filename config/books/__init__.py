"""The books: do stock, orders, payments and shipments agree, what is stuck, and what is safe to do about it?

Composed from the contexts' public APIs alone. Calls inside go down: commands and pages, check-up, reconcile, audit.
"""
