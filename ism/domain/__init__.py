"""Plain values and one tree of errors; nothing here imports a third-party library."""
