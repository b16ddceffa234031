"""The HTTP server, asked by real clients."""
