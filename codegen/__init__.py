"""Turns the specs into code: `python -m codegen`. It knows nothing of the package it writes but the names in it."""
