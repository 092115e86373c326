"""All that other contexts may import of shipping."""
