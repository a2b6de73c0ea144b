"""method=openpgp: a text that gpg encrypts to the user's key."""
