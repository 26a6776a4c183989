"""The list of method groups that a node serves; what is not here is not served."""

from chain.rpc.discovery import add_discovery
from chain.rpc.economy import EconomyMethods
from chain.rpc.governance import GovernanceMethods
from chain.rpc.gristmill import GristmillMethods
from chain.rpc.jsonrpc import MethodTable
from chain.rpc.light import LightMethods
from chain.rpc.market import MarketMethods
from chain.rpc.market_data import MarketDataMethods
from chain.rpc.staking import StakingMethods
from chain.rpc.substrate_author import AuthorMethods
from chain.rpc.substrate_chain import ChainMethods
from chain.rpc.substrate_state import StateMethods
from chain.rpc.substrate_system import SystemMethods
from chain.rpc.view import NodeView


def build_methods(node: NodeView, *, allow_unsafe: bool) -> MethodTable:
    """Build the table of everything that `node` answers."""
    table = MethodTable(allow_unsafe=allow_unsafe)
    ChainMethods(node).add_to(table)
    StateMethods(node).add_to(table)
    SystemMethods(node).add_to(table)
    AuthorMethods(node).add_to(table)
    GristmillMethods(node).add_to(table)
    LightMethods(node).add_to(table)
    StakingMethods(node).add_to(table)
    GovernanceMethods(node).add_to(table)
    EconomyMethods(node).add_to(table)
    MarketMethods(node).add_to(table)
    MarketDataMethods(node).add_to(table)
    add_discovery(table, version=node.chain.node_version)
    return table
