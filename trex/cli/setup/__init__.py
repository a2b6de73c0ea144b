"""Setting a user up: records, keys and secrets."""
