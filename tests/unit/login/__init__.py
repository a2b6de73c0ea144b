"""Tests of single modules of `trex.login`."""
