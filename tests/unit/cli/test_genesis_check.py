"""`gristmill genesis check`."""

from chain.wallet.derivation import derive
from chain.wallet.ss58 import encode_address
from tests.support.runtime import ROOT
from tests.unit.cli.schema import check


def test_the_public_genesis_is_proven_and_printed(gristmill):
    found = gristmill("genesis", "check", "public")
    assert (found.code, found.err) == (0, "")
    assert "community  40 %   15,000,000 GRIST   385,000,000 GRIST" in found.out
    assert "team       18 %   180,000,000 GRIST  0 GRIST            era 365  era 1460" in found.out
    assert found.out.count("proven: ") == 5


def test_its_curve_ends_with_everything_unlocked(gristmill):
    found = check(gristmill("genesis", "check", "public", "--json").out)
    last = found["curve"][-1]
    assert (last["era"], last["total"]) == (1_825, str(615_000_000 * 10**9))
    assert [row["era"] for row in found["curve"]] == [0, 365, 730, 1_095, 1_460, 1_825]
    assert int(found["curve"][0]["total"]) == 15_000_000 * 10**9
    assert sum(bucket["share"] for bucket in found["buckets"]) == 10**9
    assert int(last["minted_max"]) == 276_147_580_365_499_593 - 85_081_599_999_999


def test_the_curve_can_be_cut_and_made_finer(gristmill):
    found = check(gristmill("genesis", "check", "public", "--json", "--every", 7, "--to", 20).out)
    assert [row["era"] for row in found["curve"]] == [0, 7, 14, 20]


def test_a_genesis_that_does_not_sum_is_refused(gristmill, tmp_path):
    path = tmp_path / "wrong.toml"
    text = (ROOT / "genesis/public.toml").read_text()
    path.write_text(text.replace("share = 180000000", "share = 180000001"))
    found = gristmill("genesis", "check", path)
    assert found.code == 78
    assert "their shares sum to 1000000001" in found.err


def test_a_chain_that_publishes_no_table_is_shown_without(gristmill):
    found = check(gristmill("genesis", "check", "dev", "--json").out)
    assert (found["buckets"], found["allocations"], found["proven"]) == ([], [], [])
    assert found["votes"] is None


def test_votes_of_an_asset_of_their_own_are_printed_with_who_holds_them(gristmill, tmp_path):
    path, (alice, bob) = (
        tmp_path / "votes.toml",
        (derive(f"//{n}").public for n in ("Alice", "Bob")),
    )
    entries = "".join(
        f'\n[[votes]]\naccount = "{encode_address(who)}"\namount = "{amount}"\n'
        for who, amount in ((alice, "3"), (bob, "1"))
    )
    text = (ROOT / "genesis/dev.toml").read_text()
    path.write_text(f'{text}\n[governance]\nasset = "separate"\n{entries}')
    found = check(gristmill("genesis", "check", path, "--json").out)
    held = {entry["account"]: int(entry["amount"]) for entry in found["votes"]}
    assert held == {encode_address(alice): 3 * 10**9, encode_address(bob): 10**9}
    shown = gristmill("genesis", "check", path).out
    assert "75.00 %" in shown
    assert "proven: each account is given votes once" in shown
