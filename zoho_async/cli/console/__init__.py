"""Streams, signals, exit codes, progress."""
