"""Encoding of requests and decoding of responses. Pure: no socket, no clock."""
