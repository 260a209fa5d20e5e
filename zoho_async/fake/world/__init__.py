"""What the fake remembers: records, tokens, quotas, faults, calls."""
