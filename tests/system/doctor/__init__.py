"""`trex doctor`: real files, accounts, gateways, Redis, chrony."""
