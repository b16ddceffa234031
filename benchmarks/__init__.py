"""Benchmarks: one file a claim; `python -m benchmarks.NAME` measures it."""
