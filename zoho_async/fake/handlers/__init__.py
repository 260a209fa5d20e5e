"""What each operation does to the fake's records."""
