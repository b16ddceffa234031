"""GPS and telematics anomaly monitor for cargo security in transit."""
