"""Holds: units that a reservation keeps for an order, until they leave or are given back.

- ``reserving``: hold all units of a demand, or none
- ``waiting``: a hold runs out, unless it is firm or being paid
- ``releasing``: give units back
- ``shipping``: the units leave
- ``steps``: what these share
"""

from contexts.inventory.services.holds.releasing import give_back, give_up, release
from contexts.inventory.services.holds.reserving import reserve, reserve_new
from contexts.inventory.services.holds.shipping import NOT_FOUND, accept_moves, ship
from contexts.inventory.services.holds.waiting import confirm, mark_paying, stop_paying

__all__ = [
    "NOT_FOUND",
    "accept_moves",
    "confirm",
    "give_back",
    "give_up",
    "mark_paying",
    "release",
    "reserve",
    "reserve_new",
    "ship",
    "stop_paying",
]
