"""What is due, and the money taken and given back for it."""
