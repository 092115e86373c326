"""Products, prices, categories and search."""
