"""Accuracy: the monitor and its peers on the same tracks with known truth, `python -m benchmarks.accuracy`.

Every detector sees the same positions. The generated tracks come from fixed seeds, so that two runs of the same program give the same
figures; the page that the command writes, `docs/accuracy.md`, holds only what it measured.
"""
