"""Doors promised by the documentation: each imports and lists what lives in `ism`."""
