"""Trex: log in with an OpenPGP key, as a PAM module."""

__version__ = "0.1.0"
