"""One request, safely: limits, retries, errors."""
