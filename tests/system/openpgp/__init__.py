"""Keys, keyrings, homes and records, with real gpg."""
