#!/usr/bin/env python3
"""Where the seven services are: the catalog's and the orders' address, or with --health each with its health."""

from __future__ import annotations

import argparse

from shop import SERVICES, Shop, add_options, addresses, require, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--health", action="store_true", help="each service's address and health")
    options = parser.parse_args()
    at = addresses(options.base_url, options.ports)
    if not options.health:
        print(at["catalog"], at["orders"])
        return
    shop = Shop(at, token=options.token)
    for context, service in SERVICES.items():
        health = shop.health(context)
        print(f"{'✅' if health == 'healthy' else '❌'} {service.name:<22}{at[context]:<30}{health}")
        require(health == "healthy", f"{service.name} is {health}.")


if __name__ == "__main__":
    run(main)
