"""Tokens: how they are requested, where they are stored, which hosts may receive them."""
