"""`trex list`, on hosts with real accounts, records and keyrings."""
