"""People's files to raw rows."""
