"""Parcels from warehouse to door."""
