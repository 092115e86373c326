"""What staff do in a day, each with the clicks that it may take from the front page on: typing is none, Enter is one.

Where the first desk could do it, it took no fewer.
"""

from __future__ import annotations

TASKS: dict[int, tuple[str, int]] = {
    1: ("log in", 1),
    2: ("today's orders", 3),
    3: ("today's revenue, units and average", 0),
    4: ("what is low in stock", 1),
    5: ("find a product by parts of its name", 2),
    6: ("change a price", 4),
    7: ("take five products off sale", 8),
    8: ("add a product", 3),
    9: ("the stock of a product by its name", 2),
    10: ("receive fifty units", 4),
    11: ("count a shelf", 5),
    12: ("move ten units to another warehouse", 5),
    13: ("write off a broken unit", 4),
    14: ("why less is available than on hand", 3),
    15: ("release a hold", 5),
    16: ("an order by a part of its id", 2),
    17: ("an order by an address", 2),
    18: ("an order by a SKU", 2),
    19: ("an order's whole story", 3),
    20: ("cancel an order", 4),
    21: ("refund a part", 5),
    22: ("register a return, with what the goods are", 7),
    23: ("pack and dispatch", 4),
    24: ("it arrived", 3),
    25: ("send a notification again", 4),
    26: ("a notification that failed, and why", 3),
    27: ("what is stuck", 2),
    28: ("take a list as a file", 3),
    29: ("who changed what", 4),
    30: ("use one's own desk, and nothing else", 0),
    31: ("the stock screen on a phone", 9),
    32: ("work in the dark", 0),
    33: ("reach the first field by keys", 4),
}
