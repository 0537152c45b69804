#!/usr/bin/env python3
"""Verifies a grid record by docs/spec/ alone: a second opinion that shares no code with the program.

Needs `cbor2` and `cryptography`. Exit status: 0 accepted, 1 refused (class and place on stderr), 2 usage.
"""

import argparse
import base64
import collections
import json
import pathlib
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from verifier import record
from verifier.signed_objects import Refused, decoded, need, opened, strict, verify

NAMES = {
    "record": "format sequence issued_at expires_at withdrawn authority nickname contact gateways rates nodes clearing "
    "previous next successor predecessor work",
    "gateways": "host port spki_hash key roles limit furl",
    "rates": "asset price not_before committed_until next",
    "delegation": "format serial publisher not_after next max_limit committed_until",
    "nodes": "peer_id addresses", "next": "price not_before", "limit": "asset amount", "max_limit": "asset amount",
}  # fmt: skip


def named(value, name="record"):
    """The JSON view: keys by name, integers as digits, octets as in h'00ff', a delegation opened."""
    if isinstance(value, dict):
        names = NAMES[name].split()
        return {names[k]: named(v, names[k]) for k, v in value.items() if k < len(names)}
    if isinstance(value, list):
        return [named(item, name) for item in value]
    if isinstance(value, bytes):
        return named(decoded(opened(value)[0]), "delegation") if name == "authority" else f"h'{value.hex()}'"
    return value if isinstance(value, (bool, str)) else str(value)


def key_bytes(text):
    """The key in a grid id: 52 characters of base32 and no second way to write them."""
    key = base64.b32decode(text.removeprefix("pub-v0-").upper() + "====")
    again = "pub-v0-" + base64.b32encode(key).decode().lower().rstrip("=")
    if again != text or len(key) != 32 or not strict(key):
        raise ValueError(f"`{text}` is no grid id")
    return key


def judged(data, grid, role, now):
    """The outcome, and what the role reads."""
    try:
        fields, delegation, summary = record.hold(data, grid)
        if role == "reader":
            record.read(fields, delegation, grid)
        record.time_fault(fields, summary["serial"], now)
    except Refused as fault:
        return fault.args[0], fault.args[1]
    view = named({k: v for k, v in fields.items() if k < (64 if role == "reader" else 5)})
    return "ok", view | {k: named(summary[k]) for k in ("identity", "serial", "publisher") if summary[k]}


def outcome_of(check):
    """The class of what `check` raises, or `ok`."""
    try:
        check()
    except Refused as fault:
        return fault.args[0]
    return "ok"


def found(kind, vector):
    """What we make of a vector, to be compared with the vector itself."""
    grid = key_bytes(vector["grid_id"]) if "grid_id" in vector else None
    hexes = {name.removesuffix("_hex"): value for name, value in vector.items() if name.endswith("_hex")}
    octets = {name: bytes.fromhex(value) for name, value in hexes.items() if type(value) is str}
    now = vector.get("now_unix_seconds")
    if kind == "record":
        out = {role: judged(octets["bytes"], grid, role, now) for role in ("holder", "reader")}
        views = {f"{role}_view": view for role, (outcome, view) in out.items() if outcome == "ok"}
        return {role: outcome for role, (outcome, _) in out.items()} | views
    if kind == "supersede":
        return {"newer": record.newer(*(record.hold(octets[name], grid)[2] for name in ("a", "b")))}
    if kind == "commitment":
        return {"broken": record.broken(*(record.hold(octets[name], grid)[0] for name in ("older", "newer")))}
    if kind == "binding":
        records = [record.hold(bytes.fromhex(data), grid)[0] for data in hexes["records"]]
        prices = {asset: record.binding(records, asset, now) for asset in vector["prices"]}
        return {"prices": {asset: price if price is None else str(price) for asset, price in prices.items()}}
    if kind == "asset":
        name = vector["name"]
        outcome = outcome_of(lambda: need(record.asset(name), "no code"))
        return {"outcome": outcome, "scale": record.SCALES.get(name) if outcome == "ok" else None}
    if kind == "ed25519":
        three = octets["public_key"], octets["message"], octets["signature"]
        return {"outcome": outcome_of(lambda: need(strict(three[0]), "key", "key") and verify(*three))}
    if kind == "key":
        public = Ed25519PrivateKey.from_private_bytes(octets["seed"]).public_key().public_bytes_raw()
        return {"public_key_hex": public.hex(), "grid_id": vector["grid_id"] if public == grid else "another"}


def check(folder):
    """Compares every vector; prints the counts; returns the exit status."""
    counts, wrong = collections.Counter(), 0
    for path in sorted(folder.rglob("*.json")):
        document = json.loads(path.read_text(encoding="ascii"))
        for vector in document["vectors"]:
            got = found(document["kind"], vector)
            counts[document["kind"]] += 1
            if any(vector.get(name) != value for name, value in got.items()):
                wrong += 1
                print(f"{path.name} {vector['name']}: {got}", file=sys.stderr)
    print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) + f": {wrong} disagree")
    return 1 if wrong or not counts["record"] else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=pathlib.Path, metavar="FILE", help="the record's bytes")
    parser.add_argument("--grid", type=key_bytes, metavar="GRID_ID", help="pub-v0-...")
    parser.add_argument("--now", type=int, default=int(time.time()), metavar="UNIX", help="seconds (default: now)")
    parser.add_argument("--role", choices=("reader", "holder"), default="reader", help="who judges (default: reader)")
    parser.add_argument("--json", action="store_true", help="print the fields")
    parser.add_argument("--vectors", type=pathlib.Path, metavar="DIR", help="check every vector below DIR instead")
    args = parser.parse_args()
    if args.vectors:
        return check(args.vectors)
    if not args.file or not args.grid:
        parser.error("FILE and --grid belong together")
    outcome, view = judged(args.file.read_bytes(), args.grid, args.role, args.now)
    if outcome != "ok":
        print(f"verify_record: error: {outcome}: {view}", file=sys.stderr)
        return 1
    print(json.dumps(view, indent=1) if args.json else f"ok: sequence {view['sequence']}, identity {view['identity']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
