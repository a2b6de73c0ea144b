"""script/install: the module, the command and what SMS needs, in overlays that vanish."""
