"""method=totp: a code from a phone or a token (TOTP, HOTP)."""
