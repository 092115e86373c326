"""Call catalog through this object and no other."""

from contexts.catalog.public.contracts import Catalog
from eci.calls.rpc import client

catalog: Catalog = client("catalog", Catalog)
