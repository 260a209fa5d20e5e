"""Tokens: where they come from, where they are kept, which hosts may see them."""
