"""Tests of single modules of `trex.cli.accounts`."""
