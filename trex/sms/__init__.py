"""Sending a PIN: the program `send`, in a process of its own, and one file for each gateway."""
