"""A checker for the part of JSON Schema that the command line's schemas use."""

import json
import re
from pathlib import Path

SCHEMAS = Path(__file__).parents[3] / "chain" / "cli" / "schemas"
TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}
KNOWN = {
    "$schema", "title", "type", "properties", "required", "additionalProperties", "items",
    "pattern", "const", "oneOf",
}  # fmt: skip


def load(name):
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def faults(value, schema, where="$"):
    """Return what is wrong with a value, one sentence each."""
    assert set(schema) <= KNOWN, f"{where}: the checker does not know {set(schema) - KNOWN}"
    if "oneOf" in schema:
        fits = [one for one in schema["oneOf"] if not faults(value, one, where)]
        return [] if len(fits) == 1 else [f"{where} fits {len(fits)} of the alternatives"]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{where} is not {schema['const']!r}"]
    kinds = schema.get("type", list(TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(fits_type(value, kind) for kind in kinds):
        return [f"{where} is {value!r}, not {kinds}"]
    found = []
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{where} is {value!r}")
    if isinstance(value, dict):
        found += object_faults(value, schema, where)
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += faults(item, schema.get("items", {}), f"{where}[{index}]")
    return found


def object_faults(value, schema, where):
    known = schema.get("properties", {})
    found = [f"{where} lacks {name}" for name in schema.get("required", []) if name not in value]
    if schema.get("additionalProperties") is False:
        found += [f"{where} has {name}" for name in value if name not in known]
    for name, item in value.items():
        found += faults(item, known.get(name, {}), f"{where}.{name}")
    return found


def fits_type(value, kind):
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, TYPES[kind])


def check(text):
    """Parse one document and hold it to the schema that it names; return it."""
    document = json.loads(text)
    name = document["schema"].removeprefix("gristmill.").partition("/")[0]
    assert faults(document, load(name)) == []
    assert list(document) == sorted(document)
    return document
