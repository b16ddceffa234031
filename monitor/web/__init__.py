"""Our own HTTP server: positions by POST, health, metrics."""
