"""Codes through PAM, beside Debian's google-authenticator."""
