"""Tests of single modules of `trex.sms`."""
