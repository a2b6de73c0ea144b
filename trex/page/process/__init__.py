"""The page's process: it knows the encrypted message and who may see it, and nothing else.

`trex.page.start` starts `main.py` in an interpreter of its own, as an account of its own.
"""
