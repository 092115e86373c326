"""What the parts of a postal address are called, by us and by other shops."""

from __future__ import annotations

import re
from numbers import Number
from typing import Any

FIELDS = {
    "name": ("name", "fullname", "recipient", "recipientname", "contactname"),
    "company": ("company", "companyname", "organization", "organisation"),
    "city": ("city", "town", "locality"),
    "region": ("region", "province", "state", "county", "regioncode", "provincecode", "statecode"),
    "postal_code": ("postalcode", "postcode", "zip", "zipcode"),
    "country": ("country", "countrycode", "countryname", "countryid"),
    "phone": (
        *("phone", "tel", "telephone", "phonenumber", "mobile", "mobilephone", "mobilenumber", "cell", "cellphone"),
        *("phoneno", "telephonenumber", "contactphone", "contactnumber", "shippingphone"),
    ),
}
NAME_PARTS = (("firstname", "givenname"), ("lastname", "familyname", "surname"))

# What a saved address says of its row in somebody's database, and not to the carrier.
_OF_THE_ROW = re.compile(
    r"id|uuid|((address|customer|user|region|state|province|country)_?id)|((created|updated|deleted|modified)_?at)",
    re.IGNORECASE,
)
_NUMBER_OF_THE_ROW = re.compile(r"\w*(_id|[a-z]Id|_at|[a-z]At)|(is|default)(_\w+|[A-Z]\w*)?|lat|lng|lon|l\w+itude")


def plain(name: str) -> str:
    """The form in which names are compared: ``address_1``, ``Address1`` and ``address-1`` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def is_phone(name: str) -> bool:
    return plain(name) in FIELDS["phone"]


def is_of_the_row(name: str, value: Any) -> bool:
    """Whether this is an id, a time or a mark of the saved row, and so no part of the address. (Some shops have the
    country's code as ``country_id``.)"""
    if isinstance(value, str):
        return bool(_OF_THE_ROW.fullmatch(name)) and plain(name) not in FIELDS["country"]
    if isinstance(value, Number):
        return bool(_OF_THE_ROW.fullmatch(name) or _NUMBER_OF_THE_ROW.fullmatch(name))
    return False
