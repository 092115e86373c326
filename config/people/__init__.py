"""What a person may ask about themselves, from all contexts at once."""
