"""Notifications stands at the top of the map and announces nothing."""
