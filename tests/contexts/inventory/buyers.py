"""A process of buyers for test_oversell: ``python -m tests.contexts.inventory.buyers NAME BUYERS PRODUCT UNITS...``

Each buyer is a thread that reserves all lines at the same moment. Prints ``ready``, waits for a line of input, then
prints as JSON how each reserve ended.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter

import django


def main(name: str, buyers: int, product_id: int, lines: list[int]) -> None:
    django.setup()
    from django.db import connections

    from contexts.inventory.local import LocalInventory
    from contexts.inventory.public.contracts import Demand, InsufficientStock

    inventory = LocalInventory()
    items = tuple(Demand(product_id=product_id, quantity=units) for units in lines)
    start = threading.Barrier(buyers + 1)
    ends: list[str] = []

    def buy(number: int) -> None:
        start.wait()
        try:
            inventory.reserve(order_id="X", key=f"{name}-{number}", items=items, seconds=600)
            ends.append("reserved")
        except InsufficientStock:
            ends.append("insufficient")
        except Exception as error:
            ends.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=buy, args=(number,)) for number in range(buyers)]
    for thread in threads:
        thread.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    start.wait()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(Counter(ends)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), [int(units) for units in sys.argv[4:]])
