"""A small chain's metadata V14, written by hand, so that the wallet is tested without a runtime."""

from chain.wallet.cursor import encode_compact_number as number
from chain.wallet.cursor import encode_var_bytes as sized

PRIMITIVES = ["bool", "char", "str", "u8", "u16", "u32", "u64", "u128"]


def text(word):
    return sized(word.encode())


def listed(items):
    items = list(items)
    return number(len(items)) + b"".join(items)


def maybe(content):
    return b"\0" if content is None else b"\1" + content


class Registry:
    """Types by key; a type is written once and named by its number."""

    def __init__(self):
        self.numbers = {}
        self.bodies = []

    def add(self, key, body, path=()):
        if key not in self.numbers:
            self.numbers[key] = len(self.bodies)
            self.bodies.append(listed(map(text, path)) + listed([]) + body + listed([]))
        return self.numbers[key]

    def reserve(self, key):
        self.numbers[key] = len(self.bodies)
        self.bodies.append(None)
        return self.numbers[key]

    def fill(self, key, body, path=()):
        written = listed(map(text, path)) + listed([]) + body + listed([])
        self.bodies[self.numbers[key]] = written

    def primitive(self, name):
        return self.add(name, bytes([5, PRIMITIVES.index(name)]))

    def compact(self, inner):
        return self.add(("compact", inner), b"\6" + number(inner))

    def vector(self, item):
        return self.add(("vector", item), b"\2" + number(item))

    def array(self, length, item):
        return self.add(
            ("array", length, item), b"\3" + length.to_bytes(4, "little") + number(item)
        )

    def row(self, *items):
        return self.add(("row", items), b"\4" + listed(map(number, items)))

    def record(self, path, fields):
        return self.add(("record", path), composite(fields), path)

    def choice(self, path, variants):
        return self.add(("choice", path), choice(variants), path)

    def option(self, inner):
        body = choice([("None", 0, [], ""), ("Some", 1, [(None, inner, "")], "")])
        return self.add(("option", inner), body, ["Option"])

    def encode(self):
        return listed(number(index) + body for index, body in enumerate(self.bodies))


def field(name, type_id, type_name):
    name = maybe(None if name is None else text(name))
    return name + number(type_id) + maybe(text(type_name) if type_name else None) + listed([])


def composite(fields):
    return b"\0" + listed(field(*one) for one in fields)


def choice(variants):
    return b"\1" + listed(
        text(name) + listed(field(*one) for one in fields) + bytes([index]) + listed([text(docs)])
        for name, index, fields, docs in variants
    )


def module(name, index, *, storage=(), calls=None, events=None, constants=(), errors=None):
    body = None if not storage else text(name) + listed(storage)
    return b"".join(
        (
            text(name),
            maybe(body),
            maybe(None if calls is None else number(calls)),
            maybe(None if events is None else number(events)),
            listed(constants),
            maybe(None if errors is None else number(errors)),
            bytes([index]),
        )
    )


def plain(name, type_id, default, modifier=1):
    return text(name) + bytes([modifier, 0]) + number(type_id) + sized(default) + listed([])


def mapping(name, key, value, default, hasher=2):
    kind = b"\1" + sized(bytes([hasher])) + number(key) + number(value)
    return text(name) + b"\1" + kind + sized(default) + listed([])


def write_metadata(extensions=None):
    """Return the bytes: System, Balances, Utility and TransactionPayment, as clients know them."""
    types = Registry()
    u8, u32, u64, u128 = (types.primitive(name) for name in ("u8", "u32", "u64", "u128"))
    flag, word, unit = types.primitive("bool"), types.primitive("str"), types.row()
    b32, blob = types.array(32, u8), types.vector(u8)
    account = types.record(("sp_core", "crypto", "AccountId32"), [(None, b32, "")])
    h256 = types.record(("primitive_types", "H256"), [(None, b32, "")])
    money = types.compact(u128)
    address = types.choice(
        ("sp_runtime", "multiaddress", "MultiAddress"),
        [
            ("Id", 0, [(None, account, "")], ""),
            ("Index", 1, [(None, types.compact(unit), "")], ""),
            ("Raw", 2, [(None, blob, "")], ""),
        ],
    )
    purse = types.record(
        ("pallet_balances", "types", "AccountData"),
        [(name, u128, "Balance") for name in ("free", "reserved", "frozen")]
        + [("flags", u128, "ExtraFlags")],
    )
    info = types.record(
        ("frame_system", "AccountInfo"),
        [(name, u32, "") for name in ("nonce", "consumers", "providers", "sufficients")]
        + [("data", purse, "")],
    )
    calls = types.reserve("RuntimeCall")
    system_calls = types.choice(
        ("frame_system", "Call"),
        [
            ("remark", 0, [("remark", blob, "Vec<u8>")], "Say something."),
            (
                "odd",
                9,
                [
                    ("maybe", types.option(u32), "Option<u32>"),
                    ("pair", types.row(u8, flag), "(u8, bool)"),
                    ("hash", h256, "Hash"),
                    ("wide", u64, "u64"),
                    ("name", word, "String"),
                    ("list", types.vector(types.compact(u32)), "Vec<Compact<u32>>"),
                ],
                "",
            ),
        ],
    )
    transfer = [("dest", address, "AccountIdLookupOf<T>"), ("value", money, "T::Balance")]
    balance_calls = types.choice(
        ("pallet_balances", "Call"),
        [
            ("transfer_allow_death", 0, transfer, "Send money."),
            ("transfer_keep_alive", 3, transfer, "Send money and stay alive."),
            ("transfer_all", 4, [transfer[0], ("keep_alive", flag, "bool")], "Send everything."),
        ],
    )
    batch = types.choice(
        ("pallet_utility", "Call"),
        [("batch_all", 2, [("calls", types.vector(calls), "Vec<RuntimeCall>")], "Several calls.")],
    )
    groups = [("System", 0, system_calls), ("Utility", 1, batch), ("Balances", 5, balance_calls)]
    body = choice([(name, index, [(None, one, "")], "") for name, index, one in groups])
    types.fill("RuntimeCall", body, ("runtime", "RuntimeCall"))
    errors = types.choice(
        ("pallet_balances", "Error"),
        [("InsufficientBalance", 2, [], "The account owns less than it should pay; send less.")],
    )
    failure = types.record(("ModuleError",), [("index", u8, ""), ("error", types.array(4, u8), "")])
    dispatch_error = types.choice(
        ("sp_runtime", "DispatchError"),
        [("Other", 0, [], ""), ("BadOrigin", 2, [], ""), ("Module", 3, [(None, failure, "")], "")],
    )
    weight = types.record(("Weight",), [("ref_time", types.compact(u64), "u64")])
    system_events = types.choice(
        ("frame_system", "Event"),
        [
            ("ExtrinsicSuccess", 0, [("dispatch_info", weight, "")], ""),
            (
                "ExtrinsicFailed",
                1,
                [("dispatch_error", dispatch_error, ""), ("dispatch_info", weight, "")],
                "",
            ),
        ],
    )
    balance_events = types.choice(
        ("pallet_balances", "Event"),
        [
            (
                "Transfer",
                2,
                [("from", account, ""), ("to", account, ""), ("amount", u128, "T::Balance")],
                "",
            )
        ],
    )
    fee_events = types.choice(
        ("pallet_transaction_payment", "Event"),
        [
            (
                "TransactionFeePaid",
                0,
                [
                    ("who", account, ""),
                    ("actual_fee", u128, "BalanceOf<T>"),
                    ("tip", u128, "BalanceOf<T>"),
                ],
                "",
            )
        ],
    )
    told = [("System", 0, system_events), ("Balances", 5, balance_events)]
    told += [("TransactionPayment", 6, fee_events)]
    event = types.choice(
        ("runtime", "RuntimeEvent"),
        [(name, index, [(None, one, "")], "") for name, index, one in told],
    )
    phase = types.choice(
        ("frame_system", "Phase"),
        [
            ("ApplyExtrinsic", 0, [(None, u32, "")], ""),
            ("Finalization", 1, [], ""),
            ("Initialization", 2, [], ""),
        ],
    )
    records = types.vector(
        types.record(
            ("frame_system", "EventRecord"),
            [("phase", phase, ""), ("event", event, ""), ("topics", types.vector(h256), "")],
        )
    )
    modules = [
        module(
            "System",
            0,
            storage=[
                mapping("Account", account, info, bytes(80)),
                plain("Number", u32, bytes(4)),
                plain("Events", records, b"\0"),
                plain("Motto", word, b"\0", modifier=0),
            ],
            calls=system_calls,
            events=system_events,
            constants=[text("SS58Prefix") + number(u32) + sized(b"\x2a\0\0\0") + listed([])],
        ),
        module("Utility", 1, calls=batch),
        module(
            "Balances",
            5,
            storage=[plain("TotalIssuance", u128, bytes(16))],
            calls=balance_calls,
            events=balance_events,
            errors=errors,
        ),
        module("TransactionPayment", 6, events=fee_events),
    ]
    if extensions is None:
        extensions = [("CheckNonce", types.compact(u32), unit), ("CheckGenesis", unit, h256)]
    else:
        extensions = [(name, u32, unit) for name in extensions]
    signed = listed(text(name) + number(one) + number(two) for name, one, two in extensions)
    tail = number(unit) + b"\4" + signed + number(unit)
    return b"meta\x0e" + types.encode() + listed(modules) + tail
