"""A process that looks like a node from outside: RPC on a port, and a chain that grows."""

import signal
import sys
import threading

from tests.unit.cli.fake_rpc import FakeNode


def main(port):
    node = FakeNode(port)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_unused: stopped.set())
    print("listening", flush=True)  # noqa: T201 - this is its log
    while not stopped.wait(0.02):
        node.chain.blocks.append([])


if __name__ == "__main__":
    main(int(sys.argv[1]))
