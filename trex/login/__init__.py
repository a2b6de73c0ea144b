"""One login, whatever its method: the story, its arguments, its challenge, PAM, the log."""
