"""Switching Trex on for a service, and back: `trex activate`, `confirm` and `deactivate`."""
