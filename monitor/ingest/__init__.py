"""Positions in: the listener, the broker, payload formats, files, the simulated fleet."""
