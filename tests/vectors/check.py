#!/usr/bin/env python3
"""Judges every vector with the verify_*.py of scripts/: `python3 tests/vectors/check.py [DIR]`, by default this directory.

Needs `cbor2` and `cryptography`. What lies beyond a single record (which is newer, what is broken, what binds) stands
here, from docs/spec/record.md alone too. Exit status: 0 if all agree.
"""

import base64
import collections
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts"))

import audit_statement  # noqa: E402
import verify_caller  # noqa: E402
import verify_money  # noqa: E402
import verify_record  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402

# The names of record.md for the keys of its maps, from 0 on, and after a colon the map that stands there.
NAMES = {
    "record": "format sequence issued_at expires_at withdrawn authority:delegation nickname contact gateways:gateway "
    "rates:rate nodes:node clearing previous next successor predecessor work",
    "delegation": "format serial publisher not_after next max_limit:limit committed_until",
    "gateway": "host port spki_hash key roles limit:limit furl",
    "limit": "asset amount",
    "rate": "asset price not_before committed_until next:next",
    "next": "price not_before",
    "node": "peer_id addresses",
}


def outcome_of(judge, *args):
    """What `judge` finds and `ok`, or nothing and the class of what it raises."""
    try:
        return judge(*args), "ok"
    except SystemExit as fault:
        return None, fault.code.split(": ")[1]


def named(kind, value):
    """The JSON view: known keys by name, integers as digits, octets as in h'00ff'."""
    if type(value) is list:
        return [named(kind, item) for item in value]
    if type(value) is dict:
        names = [name.partition(":") for name in NAMES[kind].split()]
        return {name: named(of, value[k]) for k, (name, _, of) in enumerate(names) if k in value}
    if type(value) is bytes:
        return f"h'{value.hex()}'"
    return value if type(value) in (bool, str) else str(value)


def view(role, record, delegation, identity):
    """What `role` reads in a record that has been judged."""
    facts = {"identity": identity, "serial": delegation[1]}
    if 0 in delegation:
        record, facts = record | {5: delegation}, facts | {"publisher": delegation[2]}
    read = named("record", {k: v for k, v in record.items() if role == "reader" or k < 5})
    return read | {name: named(name, value) for name, value in facts.items()}


def grid_key(text):
    """The key in a grid id."""
    return base64.b32decode(text.removeprefix("pub-v0-").upper() + "====")


def key_text(key):
    """A key as text."""
    return "pub-v0-" + base64.b32encode(key).decode().rstrip("=").lower()


def judge_of(vector, grid):
    return bytes.fromhex(vector["bytes_hex"]), grid


def fields(data):
    """The map in a record that has been judged elsewhere."""
    return verify_record.opened("record/1", bytes.fromhex(data))[1]


def rank(data, grid):
    """By what a record is newer than others, after a holder has judged it in the second in which it was issued."""
    data = bytes.fromhex(data)
    payload, r, _ = verify_record.opened("record/1", data)
    _, delegation, _ = verify_record.judged(data, grid, "holder", r[2])
    return r[4], delegation[1], r[1], payload


def broken(older, newer):
    """The assets in which a newer record breaks a commitment of an older one."""
    since, given = max(older[2], newer[2]), verify_money.commitments(newer)

    def kept(asset, price, begin, end):
        return any(a == asset and p <= price and b <= max(begin, since) and e >= end for a, p, b, e in given)

    live = [promise for promise in verify_money.commitments(older) if promise[2] < promise[3] and since < promise[3]]
    return [] if newer[4] else [promise[0] for promise in live if not kept(*promise)]


def signature(public, message, signature):
    verify_record.fits("key", public)
    verify_record.verify(public, message, signature)


def found(kind, vector):
    """What we make of a vector, to be compared with the vector itself."""
    grid = grid_key(vector["grid_id"]) if "grid_id" in vector else None
    if kind == "record":
        judge = verify_record.judged, bytes.fromhex(vector["bytes_hex"]), grid
        out = {role: outcome_of(*judge, role, vector["now_unix_seconds"]) for role in ("holder", "reader")}
        views = {f"{role}_view": view(role, *read) for role, (read, outcome) in out.items() if outcome == "ok"}
        return {role: outcome for role, (_, outcome) in out.items()} | views
    if kind == "supersede":
        a, b = (rank(vector[name], grid) for name in ("a_hex", "b_hex"))
        return {"newer": "same" if a[3] == b[3] else "a" if a > b else "b"}
    if kind == "commitment":
        return {"broken": broken(fields(vector["older_hex"]), fields(vector["newer_hex"]))}
    if kind == "binding":
        records = [fields(data) for data in vector["records_hex"]]
        prices = {asset: verify_money.binding(records, asset, vector["now_unix_seconds"]) for asset in vector["prices"]}
        return {"prices": {asset: price if price is None else str(price) for asset, price in prices.items()}}
    if kind == "asset":
        outcome = outcome_of(verify_record.fits, "asset", vector["name"])[1]
        return {"outcome": outcome, "scale": int(verify_record.SCALES[vector["name"]]) if outcome == "ok" else None}
    if kind == "ed25519":
        three = (bytes.fromhex(vector[f"{name}_hex"]) for name in ("public_key", "message", "signature"))
        return {"outcome": outcome_of(signature, *three)[1]}
    if kind == "session":
        channel = (bytes.fromhex(vector[f"{name}_hex"]) for name in ("spki_hash", "exporter"))
        claim, outcome = outcome_of(verify_caller.session, *judge_of(vector, grid), *channel, vector["now_unix_seconds"])
        read = claim and {"caller": "grid" if 3 in claim else "client", "key": key_text(claim[4]), "nonce_hex": claim[6].hex()}
        return {"outcome": outcome} | (read or {})
    if kind == "membership":
        publisher = grid_key(vector["publisher"]) if vector["publisher"] else None
        found, outcome = outcome_of(verify_caller.membership, *judge_of(vector, grid), publisher)
        read = found and {
            "key": key_text(found[2]), "serial": str(found[3]), "label": found[4], "groups": found.get(5, []),
            "not_after": str(found[6]), "servers_hex": [hash.hex() for hash in found.get(7, [])], "removed": 8 in found,
        }  # fmt: skip
        return {"outcome": outcome} | (read or {})
    if kind == "money":
        data = bytes.fromhex(vector["bytes_hex"])
        judge = {"one": verify_money.one, "both": verify_money.both, "of-lane": verify_money.of_lane}[vector["form"]]
        lane = [bytes.fromhex(vector["lane_hex"])] if "lane_hex" in vector else []
        read, outcome = outcome_of(judge, vector["type"], data, *lane)
        return {"outcome": outcome} | ({"identity": read[0].hex()} if read else {})
    if kind == "statement":
        read, outcome = outcome_of(audit_statement.audit, bytes.fromhex(vector["bytes_hex"]), vector["now_unix_seconds"])
        return {"outcome": outcome} | ({"identity": read[0].hex(), "positions": read[2]} if read else {})
    if kind == "key":
        secret = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed_hex"]))
        public = secret.public_key().public_bytes_raw()
        return {"public_key_hex": public.hex(), "grid_id": vector["grid_id"] if public == grid else "another"}


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
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


if __name__ == "__main__":
    sys.exit(main())
