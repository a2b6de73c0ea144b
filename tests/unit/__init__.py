"""Tests of single modules; they need no rights."""
