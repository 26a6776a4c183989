"""Metadata that stock clients read, judged by the Substrate libraries of others."""

import json
from pathlib import Path

import pytest

from runtime.api import ANSWERS, runtime_api
from runtime.balances import EXISTENTIAL_DEPOSIT
from runtime.executive import Executive
from runtime.frame.errors import InvalidTransaction
from runtime.metadata import APIS, metadata_v14, runtime_version
from runtime.runtime import Runtime
from runtime.system import BLOCK_HASH_COUNT, SS58_PREFIX
from runtime.transaction import encode_compact, encode_inherent
from tests.support.runtime import Chain, person, stranger

ALICE, BOB = person("Alice"), person("Bob")
NAMES = Path(__file__).with_name("wire_names.json")


@pytest.fixture(scope="module")
def foreign():
    """The scalecodec library with our metadata loaded."""
    base = pytest.importorskip("scalecodec.base")
    registry = pytest.importorskip("scalecodec.type_registry")
    config = base.RuntimeConfigurationObject(implements_scale_info=True)
    config.update_type_registry(registry.load_type_registry_preset("core"))
    data = base.ScaleBytes(metadata_v14())
    metadata = config.create_scale_object("MetadataVersioned", data)
    metadata.decode()
    assert data.offset == len(metadata_v14()), "every byte is read"
    config.add_portable_registry(metadata)

    class Foreign:
        """Decode with that library."""

        def decode(self, type_name: str, encoded: bytes) -> object:
            scale = config.create_scale_object(
                type_name, data=base.ScaleBytes(encoded), metadata=metadata
            )
            value = scale.decode()
            assert scale.data.offset == len(encoded)
            return value

        def type_of(self, module: str, item: str) -> str:
            pallet = metadata.get_metadata_pallet(module)
            return pallet.get_storage_function(item).get_value_type_string()

    Foreign.metadata = metadata
    return Foreign()


def test_a_foreign_library_reads_every_event_of_a_block(foreign) -> None:
    chain = Chain.start()
    chain.open()
    calls = [
        chain.transfer(stranger(1), 10**9),
        chain.transfer(BOB, 10**18),
        chain.call("System", "remark_with_event", b"hi"),
        chain.call("Utility", "batch", [chain.transfer(stranger(2), 5)]),
        chain.call("Balances", "burn", 5, True),
        chain.call("Timestamp", "set", 5),
    ]
    for call in calls:
        chain.apply(call, ALICE, tip=3)
    receipts = chain.close().receipts
    kind = foreign.type_of("System", "Events")
    seen = [foreign.decode(kind, receipt) for receipt in receipts]
    names = [[f"{e['module_id']}.{e['event_id']}" for e in events] for events in seen]
    assert names[3] == [
        "TransactionPayment.TransactionFeePaid", "System.NewAccount", "Balances.Endowed",
        "Balances.Transfer", "System.ExtrinsicSuccess",
    ]  # fmt: skip
    failed = seen[4][-1]
    assert failed["event_id"] == "ExtrinsicFailed"
    assert failed["attributes"]["dispatch_error"] == {"Module": {"index": 5, "error": "0x02000000"}}
    assert names[6] == [
        "TransactionPayment.TransactionFeePaid",
        "Utility.BatchInterrupted",
        "System.ExtrinsicSuccess",
    ]
    assert seen[8][-1]["attributes"]["dispatch_error"] == "BadOrigin"
    transfer = seen[3][3]
    assert (transfer["phase"], transfer["extrinsic_idx"]) == ("ApplyExtrinsic", 2)
    assert transfer["attributes"] == {
        "from": f"0x{ALICE.hex()}",
        "to": f"0x{stranger(1).hex()}",
        "amount": 10**9,
    }


def test_a_foreign_library_reads_every_entry_of_the_state(foreign) -> None:
    chain = Chain.start("test")
    for _ in range(9):
        chain.block()
    seen = set()
    for module in chain.look().modules:
        for item in module.items:
            for key in chain.runtime.ctx.state.keys(item.prefix):
                foreign.decode(
                    foreign.type_of(module.name, item.name), chain.runtime.ctx.state.get(key)
                )
                seen.add(key)
    assert seen == {key for key, _ in chain.state.entries()}, (
        "every entry belongs to a declared item"
    )


def test_a_foreign_library_reads_our_inherents_and_calls(foreign) -> None:
    chain = Chain.start()
    built = chain.build([])
    first, second = (foreign.decode("Extrinsic", raw) for raw in built.extrinsics)
    assert (first["call"]["call_module"], first["call"]["call_function"]) == ("Timestamp", "set")
    assert (
        second["call"]["call_args"][0]["value"]["proposer"] == f"0x{chain.context().proposer.hex()}"
    )
    batch = chain.call("Utility", "batch_all", [chain.transfer(BOB, 5)])
    decoded = foreign.decode("Call", batch)
    assert decoded["call_args"][0]["value"][0]["call_function"] == "transfer_allow_death"


def test_the_digest_is_read_under_substrate_s_path(foreign) -> None:
    item = b"\x04" + b"GRST" + encode_compact(3) + b"abc"
    seal = b"\x06" + b"GRST" + encode_compact(0)
    value = foreign.decode(foreign.type_of("System", "Digest"), encode_compact(2) + item + seal)
    assert [next(iter(log)) for log in value["logs"]] == ["Consensus", "PreRuntime"]
    paths = [tuple(t.value["type"]["path"]) for t in foreign.metadata.portable_registry["types"]]
    assert ("sp_runtime", "generic", "digest", "DigestItem") in paths
    assert ("sp_runtime", "DispatchError") in paths


def test_constants_are_what_clients_ask_for(foreign) -> None:
    values = {}
    for pallet in foreign.metadata.pallets:
        for constant in pallet.constants or []:
            values[f"{pallet.name}.{constant.value['name']}"] = constant.constant_value
    assert int.from_bytes(values["System.BlockHashCount"], "little") == BLOCK_HASH_COUNT
    assert int.from_bytes(values["Balances.ExistentialDeposit"], "little") == EXISTENTIAL_DEPOSIT
    assert bytes(values["System.Version"]) == runtime_version().encode()
    assert int.from_bytes(values["System.SS58Prefix"], "little") == SS58_PREFIX


def wire_names() -> dict[str, dict[str, object]]:
    """Every name and number on the wire."""
    runtime = Runtime()
    return {
        module.name: {
            "index": module.index,
            "calls": {
                info.name: [info.index, *(name for name, _ in info.parameters)]
                for info in module.calls
            },
            "events": {
                e.__name__: [e.index, *(name.rstrip("_") for name, _ in e.parts)]
                for e in module.events
            },
            "errors": {error.__name__: error.index for error in module.errors},
            "storage": {item.name: item.prefix.hex() for item in module.items},
        }
        for module in runtime.modules
    }


def test_names_on_the_wire_do_not_change(bless: bool) -> None:
    names = wire_names()
    if bless:
        NAMES.write_text(json.dumps(names, indent=1) + "\n")
    assert json.loads(NAMES.read_text()) == names


def test_every_call_event_and_error_carries_its_help(foreign) -> None:
    for pallet in foreign.metadata.pallets:
        for kind in ("calls", "events", "errors"):
            for member in getattr(pallet, kind) or []:
                assert member.value["docs"], f"{pallet.name}.{member.name}"


def test_the_version_is_told_alike_in_json_and_scale() -> None:
    version = runtime_version()
    told = version.to_json()
    assert told["specName"] == "gristmill"
    assert told["apis"][0] == [f"0x{hashing_64('Core')}", 4]
    assert version.encode().startswith(
        encode_compact(9) + b"gristmill" + encode_compact(16) + b"gristmill-python"
    )


def hashing_64(name: str) -> str:
    """The identifier of a runtime API, from Substrate's own list."""
    return {"Core": "df6acb689907609b", "Metadata": "37e397fc7c91f5e4"}[name]


def test_runtime_apis_answer_as_substrate_does() -> None:
    chain = Chain.start()
    chain.block([chain.sign(b"\x00\x00\x00", ALICE).raw] if chain.look() else [])
    chain.look()
    state, executive = chain.state.overlay(), Executive()

    def ask(name: str, args: bytes = b"") -> bytes | None:
        return runtime_api(state, name, args, executive)

    metadata = metadata_v14()
    assert metadata[:5] == b"meta\x0e"
    assert ask("Metadata_metadata") == encode_compact(len(metadata)) + metadata
    assert ask("Metadata_metadata_versions") == b"\x04\x0e\0\0\0"
    assert (
        ask("Metadata_metadata_at_version", b"\x0e\0\0\0")
        == b"\x01" + encode_compact(len(metadata)) + metadata
    )
    assert ask("Metadata_metadata_at_version", b"\x0f\0\0\0") == b"\x00"
    assert ask("Core_version") == runtime_version().encode()
    assert ask("AccountNonceApi_account_nonce", ALICE) == b"\x01\0\0\0"
    assert ask("AccountNonceApi_account_nonce", stranger(1)) == b"\0\0\0\0"
    assert ask("Nothing_here") is None
    assert {name.split("_")[0] for name in ANSWERS} == {name for name, _ in APIS}


def test_the_fee_told_is_the_fee_taken() -> None:
    chain = Chain.start()
    chain.open()
    signed = chain.sign(chain.transfer(BOB, 10**9), ALICE)
    before = chain.free(ALICE)
    chain.executive.apply_transaction(signed)
    taken = before - chain.free(ALICE) - 10**9
    answer = runtime_api(
        Chain.start().state.overlay(),
        "TransactionPaymentApi_query_info",
        signed.raw + len(signed.raw).to_bytes(4, "little"),
    )
    assert answer is not None
    assert int.from_bytes(answer[-16:], "little") == taken
    assert answer[-17] == 0
    details = runtime_api(
        Chain.start().state.overlay(),
        "TransactionPaymentApi_query_fee_details",
        signed.raw + len(signed.raw).to_bytes(4, "little"),
    )
    assert details is not None
    parts = [int.from_bytes(details[i : i + 16], "little") for i in (1, 17, 33, 49)]
    assert (details[0], sum(parts), parts[3]) == (1, taken, 0)
    assert all(parts[:3])


def test_apis_refuse_arguments_of_another_form() -> None:
    state = Chain.start().state.overlay()
    for name, args in (
        ("AccountNonceApi_account_nonce", b"short"),
        ("TransactionPaymentApi_query_info", b"abc"),
    ):
        with pytest.raises(ValueError, match=r"."):
            runtime_api(state, name, args)
    with pytest.raises(InvalidTransaction):
        runtime_api(state, "TransactionPaymentApi_query_info", b"\x04\x84" + bytes(4))
    inherent = encode_inherent(Chain.start().call("Timestamp", "set", 1))
    answer = runtime_api(state, "TransactionPaymentApi_query_info", inherent + bytes(4))
    assert answer is not None
    assert answer[-17:] == b"\x02" + bytes(16)


def test_ids_of_apis_are_hashes_of_their_names() -> None:
    apis = dict(runtime_version().to_json()["apis"])  # type: ignore[call-overload]  # JSON is loosely typed
    assert apis[f"0x{hashing_64('Metadata')}"] == 2
