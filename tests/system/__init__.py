"""Tests through real PAM, sshd and gpg, in a sandbox of their own; they need root."""
