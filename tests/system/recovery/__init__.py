"""Recovery codes: through PAM, sshd, and beside the key."""
