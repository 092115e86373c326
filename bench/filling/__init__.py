"""Fill a shop's databases set-based, with goods and with the orders of years, so that the audit finds nothing.

``python -m bench.filling --products 1000 --stock 2000 --ledger 3000 --orders 300`` works on the databases of its
environment, which are migrated and have no products yet.
"""
