"""The object through which other contexts call catalog."""

from contexts.catalog.public.contracts import Catalog
from eci.calls.rpc import client

catalog: Catalog = client("catalog", Catalog)
