"""The database: one transaction a delivery, and the journal that cannot be edited quietly."""
