"""Tests of single modules of `trex.page`."""
