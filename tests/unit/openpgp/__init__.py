"""Tests of single modules of `trex.openpgp`."""
