"""Raw rows to checked work items."""
