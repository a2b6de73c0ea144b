"""What `trex doctor` looks at: one module for each group of checks. Nothing is changed."""
