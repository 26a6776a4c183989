INPUTS: int
OUTPUTS_MAX: int
ROW_BYTES: int
ROWS: int
RATE_MAX: int
DECAY_MAX: int

class TrainerError(ValueError): ...

def step(outputs: int, rate: int, decay: int, weights: bytes, rows: bytes) -> bytes: ...
def measure(outputs: int, weights: bytes, rows: bytes) -> tuple[int, int, int]: ...
