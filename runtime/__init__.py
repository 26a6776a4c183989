"""What the chain computes: a pure function from (state, block) to (state, receipts)."""
