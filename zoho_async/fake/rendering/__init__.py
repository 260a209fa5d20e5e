"""How responses are written: live, as documented, or clean by the specs."""
