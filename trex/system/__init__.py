"""Processes, accounts and files, for whatever method: general, and of no method's."""
