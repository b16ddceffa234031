"""The database: exactness, survival, evidence."""
