"""Answering a challenge: `trex respond`, `trex ssh`, `trex-askpass` and their files."""
