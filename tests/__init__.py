"""Tests; `sudo script/test` runs them all."""
