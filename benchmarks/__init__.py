"""What a login costs, measured side by side with what it must cost: see docs/performance.md."""
