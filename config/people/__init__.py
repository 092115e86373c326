"""What a person may ask of all contexts at once."""
