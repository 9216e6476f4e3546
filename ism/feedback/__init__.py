"""What happened after a match: taken in durably and once, and what follows from it."""
