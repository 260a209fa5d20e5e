"""How the fake writes its responses."""
