"""Sealed bids: where their salts come from, so that whoever has the memory can open them."""

from chain.market.memory import AgentMemory


def bid_salt(memory: AgentMemory, job: int, attempt: int) -> bytes:
    """Give the 32 bytes that keep a bid for an attempt of a job closed."""
    return memory.secret(f"bid {job}/{attempt}")
