"""Questions to a trial organisation of the user's own that Zoho's documents leave open; `python -m tests.live`."""
