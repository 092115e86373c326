"""Shipping: shipments, from the warehouse to the door."""
