"""Measured quality and speed: leave-out protocols on public data, and latency on a simulated market.

Run ``python -m bench --help``; the results stand in ``docs/benchmarks.md``.
"""
