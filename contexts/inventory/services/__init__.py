"""Writes of stock and reservations. Each ``@writes`` function is one transaction on this context's database.

- ``holds``, by what becomes of one: reserve, confirm, mark_paying, release, give_up, ship, accept_moves
- ``stock``: warehouses, receive, count, adjust, transfer, restock
- ``counts``: counts of many stock rows at once
- ``sweeping``: tidy up expired reservations, flag those whose payment takes too long
- ``owed``: what a count took from paid reservations, and what comes in for it
- ``parts``: what these share: locks, and changes of reservations and allocations
- ``ledger``: writes movements
- ``low``: announces stock rows that become low

The locking rule: before a transaction changes a reservation, an allocation or a stock row, it locks the stock rows
concerned, in the order of their keys. So two transactions may wait for each other, but never in a circle. Where units
come in or become free, these are all rows of their products: what is owed in one warehouse may move to another. On
SQLite a writer has the whole file, and a lock is a plain read.
"""
