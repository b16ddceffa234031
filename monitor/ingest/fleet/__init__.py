"""The simulated fleet: who drives what and when, what each device measures, what goes wrong; pure but for the outbox."""
