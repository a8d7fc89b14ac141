"""The only SQL: migrations, named queries by area, and the embedded PostgreSQL."""
