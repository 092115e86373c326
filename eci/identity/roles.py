"""Who may call: the letters of docs/security.md. They stand in access tokens, so they are never renamed."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    ANONYMOUS = "A"
    CUSTOMER = "C"
    CATALOG = "K"
    STOCK = "S"
    SUPPORT = "P"
    SERVICE = "V"  # another system, or another context
    ADMIN = "admin"  # may do everything, so a view names it only where nobody else may
    SCRAPER = "M"  # brings the metrics token, which opens nothing else


Roles = frozenset[Role]


def only(*roles: Role) -> Roles:
    return frozenset(roles)


EVERYBODY = only(Role.ANONYMOUS, Role.CUSTOMER, Role.CATALOG, Role.STOCK, Role.SUPPORT, Role.SERVICE)

GROUPS = {
    "catalog staff": Role.CATALOG,
    "stock staff": Role.STOCK,
    "support staff": Role.SUPPORT,
    "services": Role.SERVICE,
}
"""The role of each Django group of staff."""
