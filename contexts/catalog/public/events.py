"""What catalog announces: nothing so far."""
