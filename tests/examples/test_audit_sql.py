"""The questions of docs/audit.sql fit the exported tables, and each finds what it looks for."""

import json
import sqlite3
from typing import Any

import pytest

from chain.cli.export import COLUMNS
from tests.examples.console import ROOT

TEXT = (ROOT / "docs" / "audit.sql").read_text()
QUESTIONS = [
    one.strip()
    for one in "\n".join(
        line for line in TEXT.split("\n") if not line.startswith("--") or ": no row" in line
    ).split(";")
    if "SELECT" in one
]


def event(name: str, **fields: int) -> dict[str, Any]:
    return {"event": name, "fields": json.dumps({k: str(v) for k, v in fields.items()})}


SHARED = event("TransactionPayment.FeesShared", burned=5, treasury=2, share=3, tips=0)
CLEAN: dict[str, list[dict[str, Any]]] = {
    "blocks": [
        {"height": "9", "hash": "i", "parent_hash": "h"},
        {"height": "10", "hash": "j", "parent_hash": "i"},
    ],
    "txs": [
        {"hash": "x", "signer": "a", "nonce": "0", "fee": "4"},
        {"hash": "y", "signer": "a", "nonce": "1", "fee": "6"},
    ],
    "events": [SHARED, event("Balances.Burned", amount=5)],
}


def ask(tables: dict[str, list[dict[str, Any]]]) -> list[int]:
    """Give the numbers of the questions that found something."""
    database = sqlite3.connect(":memory:")
    for table, columns in COLUMNS.items():
        named = ", ".join(f'"{column}" TEXT' for column in columns)
        database.execute(f"CREATE TABLE {table} ({named})")
        for row in tables[table]:
            values = [row.get(column, "") for column in columns]
            places = ", ".join("?" * len(values))
            database.execute(f"INSERT INTO {table} VALUES ({places})", values)  # noqa: S608 - ours
    return [n for n, question in enumerate(QUESTIONS) if database.execute(question).fetchall()]


def test_nothing_is_found_in_a_clean_export() -> None:
    assert len(QUESTIONS) == 6
    assert ask(CLEAN) == []


@pytest.mark.parametrize(
    ("table", "rows", "question"),
    [
        ("blocks", [CLEAN["blocks"][0], {"height": "11", "hash": "k", "parent_hash": "j"}], 0),
        ("blocks", [CLEAN["blocks"][0], {"height": "10", "hash": "j", "parent_hash": "z"}], 1),
        ("txs", [*CLEAN["txs"], {"hash": "y", "signer": "b", "nonce": "0", "fee": "0"}], 2),
        ("txs", [CLEAN["txs"][0], {"hash": "y", "signer": "a", "nonce": "2", "fee": "6"}], 3),
        ("txs", [CLEAN["txs"][0], {"hash": "y", "signer": "a", "nonce": "1", "fee": "7"}], 4),
        ("events", [SHARED, event("Balances.Burned", amount=4)], 5),
    ],
)
def test_each_question_finds_its_fault(
    table: str, rows: list[dict[str, Any]], question: int
) -> None:
    assert question in ask({**CLEAN, table: rows})
