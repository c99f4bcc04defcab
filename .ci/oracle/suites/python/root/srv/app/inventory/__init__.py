"""Keeps count of what is in store."""
