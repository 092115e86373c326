"""The kernel's part at the door: views, bodies, answers and errors."""
