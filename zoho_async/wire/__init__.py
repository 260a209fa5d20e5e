"""Bytes in and out. Pure: no socket, no clock."""
