"""The wallet against the metadata of the real runtime, with scalecodec as the second opinion."""

import importlib

import pytest

from chain.wallet.decoding import Decoder
from chain.wallet.derivation import derive
from chain.wallet.encoding import Encoder
from chain.wallet.extrinsic import Draft, check_extensions, decode_extrinsic, make_era, sign_draft
from chain.wallet.metadata import decode_metadata
from runtime.metadata import metadata_v14, runtime_version
from runtime.transaction import decode_transaction

BOB = "5GoNkf6WdbxCFnPdAnYYQyCjAKPJgLNxXwPjwTh6DGg6gN3E"
METADATA = decode_metadata(metadata_v14())
ENCODER = Encoder(METADATA)
TRANSFER = {"call": "Balances.transfer_keep_alive", "args": {"dest": BOB, "value": "12500000000"}}
CALLS = [
    TRANSFER,
    {"call": "Balances.transfer_allow_death", "args": {"dest": BOB, "value": "1"}},
    {"call": "Balances.transfer_all", "args": {"dest": BOB, "keep_alive": True}},
    {"call": "Balances.burn", "args": {"value": "7", "keep_alive": False}},
    {"call": "System.remark", "args": {"remark": "0x00ff"}},
    {"call": "Utility.batch_all", "args": {"calls": [TRANSFER, TRANSFER]}},
]


def test_the_wallet_knows_every_extension_that_the_runtime_signs():
    check_extensions(METADATA)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["call"])
def test_a_call_of_the_runtime_survives(call):
    encoded = ENCODER.encode_call(call["call"], call["args"])
    assert Decoder(METADATA).decode_call(encoded) == call


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["call"])
def test_scalecodec_reads_the_same_call(call):
    base = pytest.importorskip("scalecodec.base")
    registry = importlib.import_module("scalecodec.type_registry")
    config = base.RuntimeConfigurationObject(implements_scale_info=True)
    config.update_type_registry(registry.load_type_registry_preset("core"))
    metadata = config.create_scale_object(
        "MetadataVersioned", base.ScaleBytes(bytearray(metadata_v14()))
    )
    metadata.decode()
    config.add_portable_registry(metadata)
    encoded = ENCODER.encode_call(call["call"], call["args"])
    theirs = config.create_scale_object("Call", base.ScaleBytes(encoded), metadata=metadata)
    theirs.decode()
    module, function = call["call"].split(".")
    assert theirs.value["call_module"] == module
    assert theirs.value["call_function"] == function
    assert theirs.data.get_remaining_length() == 0


def test_amounts_of_every_call_of_money_are_written_in_grist():
    for path in ("transfer_allow_death", "transfer_keep_alive", "burn"):
        _, call = METADATA.call(f"balances.{path}")
        value = next(field for field in call.fields if field.name == "value")
        assert value.is_amount


def test_the_runtime_reads_what_the_wallet_signs():
    version = runtime_version()
    draft = Draft(
        call=ENCODER.encode_call(TRANSFER["call"], TRANSFER["args"]),
        era=make_era(100, 64),
        nonce=5,
        tip=3,
        genesis_hash=b"\1" * 32,
        anchor_hash=b"\2" * 32,
        spec_version=version.spec_version,
        transaction_version=version.transaction_version,
    )
    alice = derive("//Alice")
    encoded = sign_draft(draft, alice)
    ours, theirs = decode_extrinsic(encoded), decode_transaction(encoded)
    assert theirs.signer == alice.public
    assert theirs.signature == ours.signed.signature
    assert (theirs.nonce, theirs.tip, theirs.call) == (5, 3, draft.call)
    assert theirs.hash == ours.hash


def test_every_constant_and_default_of_the_runtime_can_be_read():
    decoder = Decoder(METADATA)
    for module in METADATA.modules.values():
        for constant in module.constants.values():
            decoder.decode(constant.type_id, constant.value)
        for item in module.storage.values():
            if not item.is_optional:
                decoder.decode(item.value_type, item.default)
