"""Generates code from the specs: `python -m codegen`. Imports nothing of zoho_async."""
