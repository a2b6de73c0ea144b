"""`trex enroll`, `show`, `remove`, `totp` and `try`, and logins after them."""
