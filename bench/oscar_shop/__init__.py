"""A shop of django-oscar, as its documentation sets one up, for measuring beside the product.

It runs in an environment of its own (bench/oscar.py), and imports nothing of the product.
"""

ADDRESS = {
    "first_name": "Ann",
    "last_name": "Example",
    "line1": "1 High Street",
    "line4": "Town",
    "postcode": "12345",
    "country_id": "US",
}
