"""Notifications announces no events: no context is above it."""
