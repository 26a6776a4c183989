import random

import pytest

from chain.wallet.chain_client import account_key, decode_events
from chain.wallet.cursor import encode_compact_number
from chain.wallet.decoding import Decoder, read_map_keys
from chain.wallet.derivation import derive
from chain.wallet.dry_run import compute_changes, read_apply_result
from chain.wallet.encoding import Encoder
from chain.wallet.errors import BadContent, NotFound, WalletError, WrongUse
from chain.wallet.extrinsic import check_extensions
from chain.wallet.metadata import decode_metadata, storage_prefix
from tests.unit.wallet.metadata_writer import write_metadata

BOB = "5GoNkf6WdbxCFnPdAnYYQyCjAKPJgLNxXwPjwTh6DGg6gN3E"
BOB_PUBLIC = derive("//Bob").public
CONTENT = write_metadata()
METADATA = decode_metadata(CONTENT)
ENCODER = Encoder(METADATA, lambda name: derive(name).public if name[0] == "/" else BOB_PUBLIC)
TRANSFER = bytes.fromhex("0503") + b"\0" + BOB_PUBLIC + bytes.fromhex("0700dd0ee902")
EVENTS = (
    b"\x0c"
     b"\0\1\0\0\0" + b"\5\2" + derive("//Alice").public + BOB_PUBLIC + (7).to_bytes(16, "little")
    + b"\0"
    + b"\0\1\0\0\0" + b"\0\1" + b"\3\5\2\0\0\0" + b"\4" + b"\0"
    + b"\1" + b"\0\0" + b"\4" + b"\0"
)  # fmt: skip


def test_modules_calls_and_storage_are_found_in_any_spelling():
    for path in (
        "balances.transfer_keep_alive",
        "Balances.transferKeepAlive",
        "BALANCES.transfer-keep-alive",
    ):
        module, call = METADATA.call(path)
        assert (module.index, call.index, call.docs) == (5, 3, "Send money and stay alive.")
    assert METADATA.storage("system.account")[1].hashers == ("Blake2_128Concat",)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nothing.x", "no module 'nothing'"),
        ("balances.burn", "no call 'burn'"),
        ("x", "names nothing"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(path, reason):
    with pytest.raises(NotFound, match=reason) as caught:
        METADATA.call(path)
    assert caught.value.hint


def test_a_call_is_encoded_from_arguments_and_decoded_for_programs_and_people():
    call = ENCODER.encode_call(
        "balances.transfer_keep_alive", {"dest": "//Bob", "value": "12500000000"}
    )
    assert call == TRANSFER
    assert Decoder(METADATA).decode_call(call) == {
        "call": "Balances.transfer_keep_alive",
        "args": {"dest": BOB, "value": "12500000000"},
    }
    shown = Decoder(METADATA, for_people=True).decode_call(call)
    assert shown["args"]["value"] == "12.5 GRIST"


def test_an_amount_on_the_command_line_is_in_grist():
    _, call = METADATA.call("balances.transfer_keep_alive")
    assert ENCODER.encode_text(call.fields[1], "12.5") == TRANSFER[-6:]
    with pytest.raises(WrongUse, match="10 decimals"):
        ENCODER.encode_text(call.fields[1], "12.5000000001")


def test_a_batch_nests_calls_and_survives():
    inner = {"call": "Balances.transfer_keep_alive", "args": {"dest": BOB, "value": "12500000000"}}
    call = ENCODER.encode_call("utility.batch_all", {"calls": [inner, "0x" + TRANSFER.hex()]})
    assert call == b"\1\2\x08" + TRANSFER * 2
    assert Decoder(METADATA).decode_call(call)["args"]["calls"] == [inner, inner]


def test_every_kind_of_value_survives():
    args = {
        "maybe": None,
        "pair": [7, True],
        "hash": "0x" + "ab" * 32,
        "wide": "18446744073709551615",
        "name": "né",
        "list": [0, 64, 1 << 20],
    }
    call = ENCODER.encode_call("system.odd", args)
    assert Decoder(METADATA).decode_call(call)["args"] == args
    args["maybe"] = 5
    call = ENCODER.encode_call("system.odd", args)
    assert Decoder(METADATA).decode_call(call)["args"] == args


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"dest": BOB}, "needs the argument value"),
        ({"dest": BOB, "value": "1", "x": 1}, "no argument x"),
        ({"dest": BOB, "value": -1}, "value: -1 does not fit"),
        ({"dest": BOB, "value": 1 << 128}, "does not fit"),
        ({"dest": BOB, "value": 1.5}, "whole number"),
        ({"dest": BOB, "value": True}, "whole number"),
        ({"dest": 5, "value": 1}, "dest: expected an account"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(args, reason):
    with pytest.raises(WrongUse, match=reason):
        ENCODER.encode_call("balances.transfer_keep_alive", args)


def test_bytes_are_hex_or_plain_text():
    _, call = METADATA.call("system.remark")
    assert ENCODER.encode_text(call.fields[0], "hello") == b"\x14hello"
    assert ENCODER.encode_text(call.fields[0], "0xff") == b"\x04\xff"


def test_storage_keys_are_those_of_substrate_and_can_be_read_back():
    module, item = METADATA.storage("System.Account")
    key = ENCODER.storage_key(module, item, ["//Bob"])
    assert key == account_key(BOB_PUBLIC)
    assert key[:32].hex() == "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9"
    assert storage_prefix(module, item) == key[:32]
    assert read_map_keys(METADATA, item, key[32:]) == [BOB]
    with pytest.raises(WrongUse, match="takes 1 keys"):
        ENCODER.storage_key(module, item, ["//Bob", "//Bob"])


def test_events_tell_phase_extrinsic_and_the_error_with_its_docstring():
    transfer, failed, last = decode_events(METADATA, EVENTS)
    assert transfer["event"] == "Balances.Transfer"
    assert (transfer["phase"], transfer["extrinsic"]) == ("ApplyExtrinsic", 1)
    assert transfer["fields"]["amount"] == "7"
    assert failed["fields"]["dispatch_error"] == {
        "error": "Balances.InsufficientBalance",
        "docs": "The account owns less than it should pay; send less.",
    }
    assert (last["phase"], last["extrinsic"]) == ("Finalization", None)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("0000", None),
        (
            "0001030502000000",
            (
                "Balances.InsufficientBalance",
                "The account owns less than it should pay; send less.",
            ),
        ),
        ("000102", ("BadOrigin", "")),
        ("010001", ("Invalid", "the account cannot pay the fee")),
        ("010107", ("Invalid", "the chain refuses it (validity error 1.7)")),
    ],
)
def test_the_result_of_a_dry_run_is_told_in_words(content, expected):
    assert read_apply_result(METADATA, bytes.fromhex(content)) == expected


def test_changes_of_money_add_up_over_events():
    changes = compute_changes(decode_events(METADATA, EVENTS), lambda _: 100)
    assert [(one.before, one.after) for one in changes] == [(100, 93), (100, 107)]


def test_an_extension_that_the_wallet_does_not_know_stops_signing():
    check_extensions(METADATA)
    with pytest.raises(BadContent, match="StorageRent"):
        check_extensions(decode_metadata(write_metadata(extensions=["StorageRent"])))


def test_every_cut_and_many_changes_of_metadata_end_in_a_refusal_or_a_value():
    for length in range(0, len(CONTENT), 7):
        with pytest.raises(BadContent):
            decode_metadata(CONTENT[:length])
    dice = random.Random(7)
    for _ in range(400):
        changed = bytearray(CONTENT)
        changed[dice.randrange(len(changed))] = dice.randrange(256)
        try:
            decode_metadata(bytes(changed))
        except WalletError as error:
            assert error.message  # noqa: PT017 - either outcome is right, another exception is not


def test_another_version_of_metadata_names_both():
    with pytest.raises(BadContent, match="version 15; this wallet reads 14"):
        decode_metadata(b"meta\x0f" + CONTENT[5:])


def test_nesting_without_end_is_refused():
    call = TRANSFER
    for _ in range(40):
        call = b"\1\2\4" + call
    with pytest.raises(BadContent, match="levels deep"):
        Decoder(METADATA).decode_call(call)


def test_a_few_bytes_that_describe_millions_of_items_are_refused_soon():
    units = b"\x00\x00\x00\x04\x00\x00"
    row = b"\x00\x00\x00\x03\xff\xff\xff\xff\x00\x00"
    metadata = decode_metadata(b"meta\x0e\x08" + units + row + b"\x00\x00\x04\x00\x00")
    with pytest.raises(BadContent, match="more items than"):
        Decoder(metadata).decode(1, b"")


def test_metadata_of_more_items_than_docstrings_leave_room_for_is_refused():
    many = encode_compact_number(60_000)
    content = b"meta\x0e\x04\x00\x00\x00\x04" + many + bytes(60_000) + b"\x00\x00\x00\x04\x00\x00"
    with pytest.raises(BadContent, match="more items than"):
        decode_metadata(content)
