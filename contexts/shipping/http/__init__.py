"""Shipments under /v1."""
