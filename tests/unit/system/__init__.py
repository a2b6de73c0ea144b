"""Tests of single modules of `trex.system`."""
