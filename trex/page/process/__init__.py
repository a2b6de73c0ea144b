"""The page's process: it has the encrypted message and knows who may see it, nothing more.

`trex.page.start` starts `main.py` in its own interpreter, as its own account.
"""
