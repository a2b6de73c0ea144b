"""What a user sets up on their own machine: plain ssh that answers, a key, and its servers."""
