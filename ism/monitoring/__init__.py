"""What the running system measures, what it tells people about it, and how well its models do."""
