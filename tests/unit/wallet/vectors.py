"""Vectors made by @polkadot/keyring 14.0.3, the wallet that ours must agree with."""

import json
from pathlib import Path

POLKADOT = json.loads((Path(__file__).parent / "polkadot_vectors.json").read_text())
DEV_PHRASE = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
