"""Who may log in, and keys that end, on hosts with real accounts, records and keyrings."""
