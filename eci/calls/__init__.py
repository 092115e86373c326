"""Calls between contexts, in one process or between processes."""
