"""Processes, accounts and files: general modules, which know no method."""
