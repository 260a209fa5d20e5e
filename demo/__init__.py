"""`python -m demo`: the main job on this machine, from a CSV file to a checked copy."""
