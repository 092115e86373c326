"""Stock, holds on it, and the ledger of every change."""
