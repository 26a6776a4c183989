"""The chain as an agent sees it: the runtime's modules over a node's finalized state, and a key.

    chain.look()                      a Runtime: runtime.market.jobs.find(7) asks the node
    chain.send("Jobs", "heartbeat", 7)   signs, submits, and does not wait

Whatever was asked of a block is kept until the next one, so a look costs each entry once.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from chain.wallet.chain_client import ChainClient, parse_hex, to_hex
from chain.wallet.client import RpcError
from chain.wallet.derivation import KeyPair
from chain.wallet.dry_run import NONCE_AHEAD
from chain.wallet.errors import BadContent
from chain.wallet.extrinsic import sign_draft
from ext import hashing
from runtime.frame.context import NO_BLOCK, AccountRecord
from runtime.primitives import AccountId
from runtime.runtime import Runtime

PAGE: Final = 1_000
"""Keys asked for at once."""

_ACCOUNTS: Final = hashing.twox_128(b"System") + hashing.twox_128(b"Account")
_WIDTHS: Final = (4, 4, 4, 4, 16, 16, 16, 16)


class RemoteState:
    """A StateView of one block of a node that nobody can write to."""

    def __init__(self, client: ChainClient, block_hash: bytes) -> None:
        self._client = client
        self._block_hash = block_hash
        self._known: dict[bytes, bytes | None] = {}

    @property
    def money(self) -> int:
        """Nobody counts here."""
        raise TypeError("a remote state is only read")

    def get(self, key: bytes) -> bytes | None:
        """Give the value at a key, or None."""
        if key not in self._known:
            self._known[key] = self._client.storage(key, self._block_hash)
        return self._known[key]

    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]:
        """Give the keys with a prefix beyond `after`, ascending, at most `limit`."""
        found: list[bytes] = []
        while True:
            count = PAGE if limit is None else min(limit - len(found), PAGE)
            if not count:
                return found
            first = None if after is None else to_hex(after)
            page = self._client.rpc.call(
                "state_getKeysPaged", to_hex(prefix), count, first, to_hex(self._block_hash)
            )
            if not isinstance(page, list):
                raise BadContent("the node's page of keys is not a list")
            found += [parse_hex(key) for key in page[:count]]
            if len(page) < count:
                return found
            after = found[-1]

    def account(self, who: bytes) -> AccountRecord | None:
        """Give the record of an account, or None."""
        data = self.get(_ACCOUNTS + hashing.blake2b_128_concat(who))
        if data is None:
            return None
        fields, offset = [], 0
        for width in _WIDTHS:
            fields.append(int.from_bytes(data[offset : offset + width], "little"))
            offset += width
        nonce, consumers, providers, sufficients, free, reserved, frozen, flags = fields
        return nonce, consumers, providers, sufficients, free, reserved, frozen, flags

    def refuse(self, *_: Any) -> Any:
        """Refuse whatever would write."""
        raise TypeError("a remote state is only read")

    put = delete = set_account = pay = move_free = checkpoint = commit = revert = root = refuse


class ChainReader:
    """A node as somebody sees it who only reads."""

    def __init__(self, client: ChainClient) -> None:
        self.client = client
        self._runtime = Runtime()
        self._height: int | None = None

    @property
    def genesis(self) -> bytes:
        """The 32-byte hash of block 0."""
        return self.client.identity.genesis_hash

    def look(self) -> Runtime:
        """Give the runtime over the newest finalized state."""
        height, block_hash = self.client.finalized()
        if height != self._height:
            block = replace(NO_BLOCK, height=height, genesis_hash=self.genesis)
            self._runtime.ctx.enter(RemoteState(self.client, block_hash), block)
            self._runtime.ctx.block = block
            self._height = height
        return self._runtime

    @property
    def height(self) -> int:
        """The height that `look` looked at last; 0 before the first look."""
        return self._height or 0

    def storage(self, key: bytes) -> bytes | None:
        """Give an entry of the state that `look` looked at last."""
        return self._runtime.ctx.state.get(key)


class AgentChain(ChainReader):
    """A node, an account and its key: what an agent looks at and does."""

    def __init__(self, client: ChainClient, pair: KeyPair, tell: Callable[[str], None]) -> None:
        super().__init__(client)
        self.pair = pair
        self.me = AccountId(pair.public)
        self.tell = tell
        self._next: tuple[int, int] | None = None
        self._refusals: dict[str, str] = {}

    def send(self, module: str, name: str, *arguments: Any) -> bool:
        """Sign a call and hand it to the node; tells why, and gives False, when it is refused.

        While a transaction of this account waits for its block nothing is sent behind it but in
        the same look: what it will have changed is not known yet. False is given then, too.
        """
        return self.send_bytes(
            f"{module}.{name}", self._runtime.dispatcher.encode(module, name, *arguments)
        )

    def send_bytes(self, title: str, call: bytes) -> bool:
        """Do the same with the bytes of a call."""
        following = self._following()
        try:
            draft = self.client.draft(call, self.pair.public, nonce=following)
            extrinsic = sign_draft(draft, self.pair)
            if following is None:
                error = self.client.dry_run(extrinsic).error
                if error == NONCE_AHEAD:
                    return False
                if error is not None:
                    self._tell_refusal(title, f"{error[0]}. {error[1]}")
                    return False
            self.client.submit(extrinsic)
        except RpcError as error:
            self._next = None
            self._tell_refusal(title, str(error))
            return False
        self._next = (self.height, draft.nonce + 1)
        self._refusals.pop(title, None)
        self.tell(f"{title} sent")
        return True

    def _tell_refusal(self, title: str, reason: str) -> None:
        """Tell why a call is not sent, once for as long as it is the same."""
        if self._refusals.get(title) != reason:
            self._refusals[title] = reason
            self.tell(f"{title} is not sent: {reason}")

    def _following(self) -> int | None:
        """Give the nonce behind what was sent in this look, if anything was."""
        if self._next is None or self._next[0] != self.height:
            return None
        return self._next[1]
