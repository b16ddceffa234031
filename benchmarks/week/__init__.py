"""An ordinary week of two hundred trucks, simulated, and what the monitor makes of it: how quiet it is, and whether it finds the thefts."""
