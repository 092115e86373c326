"""What other contexts may ask catalog about products."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from eci.activity import KeepsTrail
from eci.errors import Conflict, NotFound


@dataclass(frozen=True, kw_only=True)
class Product:
    """``price`` is per unit, in ``currency``."""

    product_id: int
    sku: str
    name: str
    price: Decimal
    currency: str
    is_active: bool


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A price that a product was given by ``actor``."""

    at: datetime
    price: Decimal
    currency: str
    actor: str


@dataclass(frozen=True, kw_only=True)
class ProductCounts:
    """How many products there are: on sale, off sale, and of all of them those changed since some time."""

    on_sale: int
    off_sale: int
    changed: int


class ProductNotFound(NotFound):
    """``details.product_id`` is the first unknown product."""


class DuplicateSku(Conflict):
    code = "duplicate_sku"


class DuplicateBarcode(Conflict):
    code = "duplicate_barcode"


class Catalog(KeepsTrail):
    @abstractmethod
    def products(self, *, product_ids: Iterable[int]) -> dict[int, Product]:
        """The products with these ids, active or not, by id. ProductNotFound when one is unknown."""

    @abstractmethod
    def known_products(self, *, product_ids: Iterable[int]) -> set[int]:
        """The ids, out of these, that exist."""

    @abstractmethod
    def product_ids(self, *, skus: Iterable[str]) -> dict[str, int]:
        """The ids of the products that have these SKUs, by SKU."""

    @abstractmethod
    def product_ids_by_code(self, *, codes: Iterable[str]) -> dict[str, int]:
        """The ids of the products that have one of these as SKU or barcode, by code. A SKU goes first."""

    @abstractmethod
    def barcodes(self, *, product_ids: Iterable[int]) -> dict[int, str]:
        """The barcodes of those of the products that have one, by id."""

    @abstractmethod
    def search(self, *, text: str, limit: int) -> tuple[int, ...]:
        """The ids of at most ``limit`` products in which all these words are, the best matches first."""

    @abstractmethod
    def prices_of(self, *, product_id: int, limit: int) -> tuple[Priced, ...]:
        """The newest prices of a product, the oldest of them first."""

    @abstractmethod
    def counts(self, *, changed_since: datetime) -> ProductCounts:
        """Counted anew: all products are looked at, so ask rarely."""
