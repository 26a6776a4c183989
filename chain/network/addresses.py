"""Where nodes live: parsing addresses, counting connections by neighbourhood."""

import contextlib
import ipaddress
import re
from collections import Counter
from dataclasses import dataclass

from chain.network.interface import AddressInvalid, PeerId

INBOUND_MAX = 40
"""Connections that others may open to us (network design)."""

PENDING_PER_ADDRESS_MAX = 8
"""Unfinished handshakes of one address: idle sockets of one attacker take eight places, not all."""

PENDING_MAX = 128
"""Unfinished handshakes of all addresses together."""

INBOUND_PER_SUBNET_MAX = 2
"""Inbound connections of one IPv4 /24 or IPv6 /48: one operator is not the whole network."""

_ADDRESS = re.compile(
    r"/(?P<kind>ip4|ip6|dns|dns4|dns6)/(?P<host>[0-9A-Za-z.:_-]{1,255})"
    r"/tcp/(?P<port>[0-9]{1,5})/p2p/(?P<peer>[1-9A-HJ-NP-Za-km-z]{32,64})"
)


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """A multiaddr of the one form we dial: a host, a TCP port and the peer id expected there."""

    kind: str
    host: str
    port: int
    peer: PeerId

    @staticmethod
    def parse(text: str) -> "PeerAddress":
        """Parse a multiaddr; raises AddressInvalid with what it should look like."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise AddressInvalid(
                f"{text[:100]!r} is no peer address; it looks like "
                "/ip4/192.0.2.1/tcp/30333/p2p/12D3KooW..."
            )
        kind, host, port = match["kind"], match["host"], int(match["port"])
        if not 0 < port <= 65_535:
            raise AddressInvalid(f"{port} is no TCP port")
        if kind in ("ip4", "ip6"):
            _check_ip(kind, host)
        return PeerAddress(kind, host, port, match["peer"])

    def __str__(self) -> str:
        return f"/{self.kind}/{self.host}/tcp/{self.port}/p2p/{self.peer}"

    @property
    def bucket(self) -> str:
        """The neighbourhood for outbound slots: an IPv4 /16, an IPv6 /32, or the name itself."""
        if self.kind not in ("ip4", "ip6"):
            return self.host.lower()
        return _network(self.host, ip4_bits=16, ip6_bits=32)

    @property
    def is_local(self) -> bool:
        """Whether this is the machine itself."""
        return self.kind in ("ip4", "ip6") and ipaddress.ip_address(self.host).is_loopback


def parse_external(text: str) -> str:
    """Give the multiaddr of `host:port`, where host may be a name; raises AddressInvalid."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    kind = "dns"
    with contextlib.suppress(ValueError):
        kind = f"ip{ipaddress.ip_address(host).version}"
    address = f"/{kind}/{host}/tcp/{port}"
    PeerAddress.parse(f"{address}/p2p/{'1' * 52}")
    return address


class InboundGate:
    """Who may open a connection to us, by address, before and after the handshake."""

    def __init__(self, *, inbound_max: int = INBOUND_MAX, is_loopback_exempt: bool = False) -> None:
        self._inbound_max = inbound_max
        self._is_loopback_exempt = is_loopback_exempt
        self._pending: Counter[str] = Counter()
        self._open: Counter[str] = Counter()

    @property
    def open_count(self) -> int:
        """How many inbound connections are open."""
        return self._open.total()

    @property
    def pending_count(self) -> int:
        """How many handshakes are unfinished."""
        return self._pending.total()

    def begin(self, address: str) -> bool:
        """Let a socket start its handshake, or not; pair every True with one `end`."""
        if self._pending[address] >= PENDING_PER_ADDRESS_MAX:
            return False
        if self._pending.total() >= PENDING_MAX or self.open_count >= self._inbound_max:
            return False
        self._pending[address] += 1
        return True

    def admit(self, address: str) -> bool:
        """Let a connection whose handshake is done stay, or not."""
        subnet = _network(address, ip4_bits=24, ip6_bits=48)
        is_exempt = self._is_loopback_exempt and _is_loopback(address)
        if self.open_count >= self._inbound_max:
            return False
        if self._open[subnet] >= INBOUND_PER_SUBNET_MAX and not is_exempt:
            return False
        self._drop(self._pending, address)
        self._open[subnet] += 1
        return True

    def end(self, address: str, *, was_open: bool) -> None:
        """Forget a connection, whether it had been admitted or was still pending."""
        if was_open:
            self._drop(self._open, _network(address, ip4_bits=24, ip6_bits=48))
        else:
            self._drop(self._pending, address)

    @staticmethod
    def _drop(counter: "Counter[str]", key: str) -> None:
        counter[key] -= 1
        if counter[key] <= 0:
            del counter[key]


def _check_ip(kind: str, host: str) -> None:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError as fault:
        raise AddressInvalid(f"{host!r} is no IP address") from fault
    if f"ip{version}" != kind:
        raise AddressInvalid(f"{host!r} is no {kind} address")


def _network(host: str, *, ip4_bits: int, ip6_bits: int) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    bits = ip4_bits if address.version == 4 else ip6_bits
    return str(ipaddress.ip_network((address, bits), strict=False))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
