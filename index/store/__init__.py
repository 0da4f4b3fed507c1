"""The SQLite database: schema, transactions, views, migration, garbage collection, exclusions."""
