"""Whole logins: programs, verdicts, time, and what they load."""
