"""What the server offers, told by the server: `rpc_methods` and `rpc.discover`."""

from chain.rpc.jsonrpc import Json, Method, MethodTable, describe


def add_discovery(table: MethodTable, *, version: str) -> None:
    """Offer the two methods that list all others."""

    def rpc_methods() -> Json:
        """List the names of all methods."""
        return {"methods": table.names()}

    def rpc_discover() -> Json:
        """Describe all methods as an OpenRPC document."""
        return describe(table.methods(), title="Gristmill node", version=version)

    table.add(Method("rpc_methods", rpc_methods))
    table.add(Method("rpc.discover", rpc_discover))
