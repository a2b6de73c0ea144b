"""method=recovery without PAM."""
