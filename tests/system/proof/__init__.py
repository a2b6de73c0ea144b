"""A sample of what tests/proof tries in full."""
