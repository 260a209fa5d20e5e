"""The fake's sockets."""
