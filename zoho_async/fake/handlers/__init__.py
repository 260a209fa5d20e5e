"""What each operation does to the records of the fake: plain functions, keyed by operation id."""
