"""State of the fake: records, tokens, limits, ordered faults, audit log, clock."""
