"""Limits, tokens and leases that processes and machines share."""
