"""Conformance suites: what every engine and every store must pass, ours and guests'."""
