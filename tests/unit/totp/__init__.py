"""Tests of single modules of `trex.totp`."""
