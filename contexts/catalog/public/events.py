"""Catalog's events: none so far."""
