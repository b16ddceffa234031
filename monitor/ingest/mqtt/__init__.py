"""MQTT 3.1.1 and 5 as a server speaks it: the packets without any I/O, and one connection."""
