"""Substrate's `system_*` and `payment_*` methods: the node, its chain and peers, fees, dry runs."""

from chain.rpc.blocks import find_header, hex_of
from chain.rpc.jsonrpc import INVALID_PARAMS, SERVER_ERROR, Json, Method, MethodTable, RpcError
from chain.rpc.params import ACCOUNT, AT, EXTRINSIC
from chain.rpc.view import NodeView, Refused
from ext import scale

_QUERY_INFO = scale.tuple_of(scale.COMPACT_U64, scale.COMPACT_U64, scale.U8, scale.U128)
"""RuntimeDispatchInfo: weight (ref time, proof size), class, partial fee."""

_FEE_DETAILS = scale.tuple_of(
    scale.option(scale.tuple_of(scale.U128, scale.U128, scale.U128)), scale.U128
)
"""FeeDetails: base, length and weight fee of what pays one, then the tip."""

CLASSES = ("normal", "operational", "mandatory")
"""Dispatch classes by their number."""


class SystemMethods:
    """Who the node is and how it fares."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        table.add(Method("system_name", self.name))
        table.add(Method("system_version", self.version))
        table.add(Method("system_chain", self.chain))
        table.add(Method("system_chainType", self.chain_type))
        table.add(Method("system_properties", self.properties))
        table.add(Method("system_health", self.health))
        table.add(Method("system_peers", self.peers, unsafe=True))
        table.add(Method("system_nodeRoles", self.node_roles))
        table.add(Method("system_syncState", self.sync_state))
        table.add(Method("system_localPeerId", self.local_peer_id))
        table.add(Method("system_localListenAddresses", self.local_listen_addresses))
        table.add(
            Method("system_accountNextIndex", self.account_next_index, (ACCOUNT,)),
            "account_nextIndex",
        )
        table.add(Method("system_dryRun", self.dry_run, (EXTRINSIC, AT)), "system_dryRunAt")
        table.add(Method("payment_queryInfo", self.query_info, (EXTRINSIC, AT)))
        table.add(Method("payment_queryFeeDetails", self.query_fee_details, (EXTRINSIC, AT)))

    def name(self) -> Json:
        """Give the name of the node's software."""
        return self._node.chain.node_name

    def version(self) -> Json:
        """Give the version of the node's software."""
        return self._node.chain.node_version

    def chain(self) -> Json:
        """Give the name of the chain."""
        return self._node.chain.name

    def chain_type(self) -> Json:
        """Give the kind of the chain: Development, Local or Live."""
        return self._node.chain.chain_type

    def properties(self) -> Json:
        """Give the address prefix and the token's symbol and decimals."""
        chain = self._node.chain
        return {
            "ss58Format": chain.ss58_prefix,
            "tokenDecimals": chain.token_decimals,
            "tokenSymbol": chain.token_symbol,
        }

    def health(self) -> Json:
        """Say how many peers the node has and whether it is syncing."""
        return {
            "peers": len(self._node.peers()),
            "isSyncing": self._node.sync().is_syncing,
            "shouldHavePeers": self._node.chain.chain_type != "Development",
        }

    def peers(self) -> Json:
        """List the connected peers with the block each last proved."""
        return [
            {
                "peerId": peer.peer_id,
                "roles": "FULL",
                "bestHash": hex_of(peer.best_hash),
                "bestNumber": peer.best_height,
            }
            for peer in self._node.peers()
        ]

    def node_roles(self) -> Json:
        """List the roles that the node plays: Authority or Full."""
        return ["Authority" if self._node.chain.is_validator else "Full"]

    def sync_state(self) -> Json:
        """Say where synchronisation started, stands and is heading."""
        sync = self._node.sync()
        return {
            "startingBlock": sync.starting,
            "currentBlock": sync.current,
            "highestBlock": sync.highest,
        }

    def local_peer_id(self) -> Json:
        """Give the node's identity on the network."""
        return self._node.chain.peer_id

    def local_listen_addresses(self) -> Json:
        """List the addresses at which peers may dial the node."""
        return list(self._node.chain.listen_addresses)

    def account_next_index(self, account: bytes) -> Json:
        """Give the nonce of the account's next extrinsic, those in the pool counted."""
        return self._node.next_nonce(account)

    def dry_run(self, extrinsic: bytes, at: bytes | None) -> Json:
        """Run an extrinsic on the newest state, forget it, give its SCALE ApplyExtrinsicResult."""
        if find_header(self._node, at).number != self._node.head().number:
            raise RpcError(SERVER_ERROR, "Dry runs use the newest block", "leave out the block")
        try:
            result, _receipt = self._node.dry_run(extrinsic)
        except Refused as error:
            raise RpcError(error.code, "Invalid Transaction", error.reason) from None
        return hex_of(result)

    def query_info(self, extrinsic: bytes, at: bytes | None) -> Json:
        """Give the weight, class and fee (without the tip) of an extrinsic."""
        answer = self._ask_payment("TransactionPaymentApi_query_info", extrinsic, at)
        ref_time, proof_size, kind, fee = _QUERY_INFO.decode(answer)
        return {
            "weight": {"ref_time": ref_time, "proof_size": proof_size},
            "class": CLASSES[kind],
            "partialFee": str(fee),
        }

    def query_fee_details(self, extrinsic: bytes, at: bytes | None) -> Json:
        """Give the parts of the fee of an extrinsic: base, length, weight; null for inherents."""
        answer = self._ask_payment("TransactionPaymentApi_query_fee_details", extrinsic, at)
        parts, _tip = _FEE_DETAILS.decode(answer)
        if parts is None:
            return {"inclusionFee": None}
        base, length, weight = parts
        return {
            "inclusionFee": {
                "baseFee": hex(base),
                "lenFee": hex(length),
                "adjustedWeightFee": hex(weight),
            }
        }

    def _ask_payment(self, name: str, extrinsic: bytes, at: bytes | None) -> bytes:
        height = find_header(self._node, at).number
        args = extrinsic + len(extrinsic).to_bytes(4, "little")
        try:
            answer = self._node.runtime_call(name, args, height)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, "Invalid params", f"extrinsic: {error}") from None
        if answer is None:
            raise RpcError(SERVER_ERROR, "No fee information", "the runtime does not offer it")
        return answer
