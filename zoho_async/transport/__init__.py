"""One request: rate limits, retries, errors, HTTP."""
