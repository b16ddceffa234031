"""Benchmarks: one file a claim of speed or size, `python -m benchmarks.NAME`. Ratios are measured in one run, beside each other.

A figure in seconds says as much of the machine and of its other work as of this program: each is the best of several runs, and the
table names the cores. What can be compared between machines is the ratio to something plain that ran in turn with it.
"""
