"""The HTTP server, the addresses that are no operation of a product, and the process."""
