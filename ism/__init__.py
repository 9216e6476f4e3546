"""ISM: explained matches from waste offers to the receivers that could use them."""

__version__ = "0.1.0"
