"""The demo shop's data, which ``make run`` loads on its first start."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from config.fees import likely

USERNAME = "admin"
ADDRESS = "admin@example.com"  # that the login had once; now it has none
PASSWORD = "admin"  # noqa: S105 - for open mode only: any other start disables it

WAREHOUSES = [
    {"code": "WH001", "name": "North", "priority": 1},
    {"code": "WH002", "name": "South", "priority": 2},
]

CUSTOMERS = [
    {"email": "demo@example.com", "full_name": "Demo User", "phone": "+1 555 0100"},
    {"email": "ada@example.com", "full_name": "Ada Byron", "phone": ""},
    {"email": "grace@example.com", "full_name": "Grace Murray", "phone": ""},
]

# SKU, name, category, price in dollars, then units in each warehouse
_ROWS = """
HEADSET-01 | Wireless Headset            | Electronics | 99.99   | 500  | 200
LAPTOP-13  | Ultrabook 13"               | Electronics | 1099.00 | 40   | 15
LAPTOP-16  | Workstation Laptop 16"      | Electronics | 1899.00 | 12   | 6
MONITOR-27 | Monitor 27" QHD             | Electronics | 289.00  | 80   | 40
KEYB-MECH  | Mechanical Keyboard         | Electronics | 119.50  | 150  | 90
MOUSE-ERGO | Ergonomic Mouse             | Electronics | 49.90   | 220  | 130
DOCK-USBC  | USB-C Dock                  | Electronics | 159.00  | 60   | 0
CAM-4K     | Webcam 4K                   | Electronics | 129.00  | 4    | 0
PHONE-X    | Smartphone X                | Electronics | 799.00  | 70   | 55
TABLET-10  | Tablet 10"                  | Electronics | 349.00  | 45   | 45
CHAIR-TASK | Task Chair                  | Furniture   | 239.00  | 25   | 30
DESK-STAND | Standing Desk               | Furniture   | 549.00  | 10   | 12
LAMP-LED   | LED Desk Lamp               | Furniture   | 39.95   | 140  | 60
SHELF-OAK  | Oak Shelf                   | Furniture   | 89.00   | 6    | 7
SOFA-2     | Two-Seat Sofa               | Furniture   | 699.00  | 5    | 3
MUG-BLUE   | Blue Mug                    | Kitchen     | 9.50    | 800  | 400
MUG-RED    | Red Mug                     | Kitchen     | 9.50    | 760  | 380
KETTLE-1L  | Kettle 1 l                  | Kitchen     | 34.90   | 95   | 40
PAN-28     | Frying Pan 28 cm            | Kitchen     | 44.00   | 70   | 50
KNIFE-CHEF | Chef's Knife                | Kitchen     | 59.00   | 65   | 35
TEAPOT-GL  | Glass Teapot                | Kitchen     | 27.50   | 110  | 0
TOWEL-SET  | Towel Set                   | Home        | 32.00   | 130  | 120
BLANKET-WL | Wool Blanket                | Home        | 74.00   | 40   | 45
CANDLE-3   | Candles, Set of 3           | Home        | 14.95   | 300  | 250
LANTERN-WH | White Metal Lantern         | Home        | 19.90   | 180  | 160
CLOCK-WALL | Wall Clock                  | Home        | 29.00   | 75   | 25
BOOK-SQL   | Databases, a Field Guide    | Books       | 42.00   | 60   | 60
BOOK-COOK  | Cooking for Two             | Books       | 24.00   | 85   | 90
BOOK-TREES | The Life of Trees           | Books       | 18.50   | 120  | 70
NOTEBOOK-A | Notebook A5, dotted         | Stationery  | 7.90    | 900  | 700
PEN-GEL    | Gel Pens, Pack of 10        | Stationery  | 8.40    | 1000 | 600
BACKPACK-T | Travel Backpack             | Outdoor     | 109.00  | 55   | 35
BOTTLE-750 | Steel Bottle 750 ml         | Outdoor     | 22.00   | 240  | 200
TENT-2P    | Tent for Two                | Outdoor     | 189.00  | 14   | 16
BIKE-LIGHT | Bicycle Light Set           | Outdoor     | 35.50   | 90   | 65
YOGA-MAT   | Yoga Mat                    | Outdoor     | 28.00   | 100  | 100
"""


def products(*, currency: str) -> list[dict[str, Any]]:
    """Products in the order of their ids, priced in the currency, each with ``stock``: units by warehouse code."""
    found = []
    for row in _ROWS.strip().splitlines():
        sku, name, category, price, north, south = (cell.strip() for cell in row.split("|"))
        found.append(
            {
                "sku": sku,
                "name": name,
                "category": category,
                "price": likely(Decimal(price), currency),
                "currency": currency,
                "description": f"{name}, from the demo shop.",
                "stock": {"WH001": int(north), "WH002": int(south)},
            }
        )
    return found
