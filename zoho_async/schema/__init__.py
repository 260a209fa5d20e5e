"""The API as data: operations, types, validation rules."""
