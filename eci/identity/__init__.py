"""Who is calling: roles, tokens and keys."""
