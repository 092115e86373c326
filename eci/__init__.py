"""The shared kernel: it knows no context and no business word."""
