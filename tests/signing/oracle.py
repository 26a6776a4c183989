"""What a key may sign, in the fewest words; the real signer is held against it."""

SIGNED_MAX = 64


class Journal:
    """What one journal may hold: several possibilities after a write that was cut off."""

    def __init__(self):
        self.states = {((0, 0, 0), ())}

    def may_sign(self, position, request):
        """The answers that are right: yes, no, or either after a crash."""
        return {
            request in signed or position > floor for floor, signed in self.states
        }  # fmt: skip

    def sign(self, position, request, *, is_done):
        """The request was answered, or the process died on the way."""
        after = set()
        for floor, signed in self.states:
            if request in signed:
                after.add((floor, signed))
            elif position > floor:
                kept = signed if position[0] == floor[0] else ()
                after.add((position, (*kept, request)[-SIGNED_MAX:]))
            elif not is_done:
                after.add((floor, signed))
        self.states = after if is_done else after | self.states

    def refuse(self, position, request):
        """The signer said no: only states that do are possible."""
        self.states = {
            state for state in self.states
            if request not in state[1] and not position > state[0]
        }  # fmt: skip


class Ledger:
    """Everything that ever left under one key, from whatever copy of it."""

    def __init__(self):
        self.said = {}
        self.double = []

    def release(self, position, request):
        """A signature is out; another one for the same position is the crime."""
        if self.said.setdefault(position, request) != request:
            self.double.append(position)
