"""Rows that were not done: rejects files, retries, reports."""
