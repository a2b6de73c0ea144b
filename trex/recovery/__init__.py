"""method=recovery: one-time codes on paper, for the day that the key is lost."""
