"""Incidents, escalation, notices and channels."""
