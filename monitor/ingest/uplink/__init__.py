"""A connection to an MQTT broker that is kept: one conversation after another, for as long as it takes."""
