"""The path of a pushed row, from its record to its call."""
