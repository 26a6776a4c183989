"""Commands that ask a node: their session has the chain, their options have --url.

Apart from `command`, so that commands without a node do not pay for the import of HTTP.
"""

from functools import cached_property
from typing import Any, Final

import click

from chain.cli.command import Command
from chain.cli.console import Console
from chain.cli.session import Session
from chain.cli.settings import Settings
from chain.wallet.chain_client import ChainClient
from chain.wallet.client import RpcClient
from chain.wallet.encoding import Encoder


class NodeSession(Session):
    """A session with a node at the other end."""

    def __init__(self, console: Console, settings: Settings) -> None:
        super().__init__(console, settings)
        self.rpc: Final = RpcClient(settings["url"])

    @cached_property
    def chain(self) -> ChainClient:
        """The node's answers as checked values."""
        return ChainClient(self.rpc)

    @cached_property
    def encoder(self) -> Encoder:
        """What turns arguments into bytes by the chain's metadata and the user's key names."""
        return Encoder(self.chain.metadata, self.resolve)

    def close(self) -> None:
        """Close the connection."""
        self.rpc.close()


class NodeCommand(Command):
    """A command that asks a node."""

    session_class = NodeSession

    def __init__(self, *args: Any, **attrs: Any) -> None:
        super().__init__(*args, has_keys=True, **attrs)
        url = click.Option(["--url"], metavar="URL", help="RPC address of the node to ask.")
        self.extra_names.append("url")
        self.params.insert(-len(self.extra_names) + 1, url)
