"""Empty on purpose: the tables of the app ``staff`` are declared in the rooms that use them, books and operations.

Without this module Django would make no permissions for these tables, and tests would have no tables.
"""
