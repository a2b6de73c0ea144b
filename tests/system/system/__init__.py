"""Ids, signals, children and file systems that do not answer."""
