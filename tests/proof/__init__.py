"""Experiments that show that the module holds; each writes down what it has seen."""
