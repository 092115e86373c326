"""Payments under /v1."""
