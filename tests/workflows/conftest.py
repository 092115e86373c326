"""A small shop: products, stock in two warehouses, a customer."""

from __future__ import annotations

import pytest

from tests.conftest import Api
from tests.workflows.shop import Shop


@pytest.fixture
def shop(api: Api) -> Shop:
    return Shop.open(api)
