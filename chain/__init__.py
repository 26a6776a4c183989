"""The node: the only place that touches sockets, disk, clocks and keys."""
