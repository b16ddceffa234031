"""From a signal to a person told: incidents, escalation, notices, and the channels that carry them."""
