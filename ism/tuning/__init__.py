"""Hyper-parameter search with Optuna: durable, within limits, and blind to the data that judge a promotion."""
