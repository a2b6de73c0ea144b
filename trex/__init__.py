"""Trex: log in with an OpenPGP key, as a PAM module."""

__version__ = "0.1.0"
__date__ = "2026-11-27"  # of this version, as the manual shows it
