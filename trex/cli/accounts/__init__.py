"""Whoever runs a host: everybody who may log in to it."""
