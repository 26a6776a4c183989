"""The wheel beside a plain list: all is done once, nothing early, nothing later than it must."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from runtime.deadlines import ITEMS_PER_BLOCK, ITEMS_PER_LANE, ItemKey, Lane
from tests.support.runtime import Chain

ME = 77


class Wheel(RuleBasedStateMachine):
    """Random floods, cancellations and blocks."""

    @initialize()
    def start(self) -> None:
        self.chain = Chain.start()
        self.done: list[bytes] = []
        self.waiting: dict[bytes, tuple[int, Lane]] = {}
        self.keys: dict[bytes, ItemKey] = {}
        self.count = 0
        self.cancelled = False
        self.chain.runtime.deadlines.listen(ME, self.done.append)
        self.chain.open()

    @rule(
        ahead=st.integers(1, 6), lane=st.sampled_from(Lane), count=st.sampled_from([1, 5, 70, 300])
    )
    def flood(self, ahead: int, lane: Lane, count: int) -> None:
        height = self.chain.height + 1 + ahead
        for _ in range(count):
            name = self.count.to_bytes(4, "big")
            self.count += 1
            key = self.chain.runtime.deadlines.schedule(
                height=height, lane=lane, module_index=ME, payload=name
            )
            assert key.height >= height
            self.keys[name] = key
            self.waiting[name] = (key.height, lane)

    @rule(which=st.integers(0, 10_000))
    def cancel(self, which: int) -> None:
        if self.waiting:
            name = sorted(self.waiting)[which % len(self.waiting)]
            assert self.chain.runtime.deadlines.cancel(self.keys[name])
            del self.waiting[name]
            self.cancelled = True

    @rule()
    def block(self) -> None:
        self.chain.close()
        self.done.clear()
        self.chain.open()
        height = self.chain.height + 1
        assert len(self.done) <= ITEMS_PER_BLOCK
        assert len(set(self.done)) == len(self.done)
        lanes = dict.fromkeys(Lane, 0)
        for name in self.done:
            due, lane = self.waiting.pop(name)
            assert due <= height, "nothing is early"
            lanes[lane] += 1
        for lane in Lane:
            left = [due for due, other in self.waiting.values() if other == lane and due <= height]
            if left and not self.cancelled:
                assert lanes[lane] >= ITEMS_PER_LANE, "a lane that waits has had its share"
                assert len(self.done) == ITEMS_PER_BLOCK, "and no room was left unused"
            done_here = [self.keys[name] for name in self.done if self.keys[name].lane == lane]
            assert done_here == sorted(done_here, key=lambda key: (key.height, key.place))

    def teardown(self) -> None:
        """Whatever was put on the wheel is done in the end."""
        if not hasattr(self, "chain"):
            return
        for _ in range(80):
            if not self.waiting:
                break
            self.block()
        assert self.waiting == {}
        self.chain.close()


TestWheel = Wheel.TestCase
TestWheel.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
