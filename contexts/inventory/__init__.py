"""Inventory: stock, reservations of it, and the ledger of every change."""
