"""Orders and the workflow that carries each to its end."""
