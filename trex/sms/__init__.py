"""method=sms: a random PIN by SMS; the program `send` runs in its own process."""
