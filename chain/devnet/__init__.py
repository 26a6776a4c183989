"""A local network of node processes."""
