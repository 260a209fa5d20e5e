"""The API as data: operations, types, rules."""
