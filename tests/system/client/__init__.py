"""A person's `trex ssh`, `trex respond` and `trex pin`, with real ssh, gpg and terminals."""
