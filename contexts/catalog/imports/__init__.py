"""What catalog takes from files: products and prices, in its own columns or those of other shops."""
