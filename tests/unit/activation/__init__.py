"""The lines that `trex activate` writes, and the units of its way back."""
