"""What customers announces: nothing so far."""
