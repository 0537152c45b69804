#!/usr/bin/env python3
"""Verifies a grid record by docs/spec/ alone: a second opinion that shares no code with the program.

Here stands what signed-objects.md says, and the steps of record.md, whose fields are tables in record_fields.py.
Needs `cbor2` and `cryptography`. Exit status: 0 accepted, 1 refused (class and place on stderr), 2 usage.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import re
import time

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from record_fields import Refused, fits, need, strict, view

DAY, SKEW, L = 86_400, 7_200, 2**252 + 27742317777372353535851937790883648493


def plain(value, depth=1):
    """Whether only the allowed types occur, not too deep."""
    if type(value) not in (dict, list):
        return type(value) in (bytes, str, bool) or type(value) is int and value >= 0
    keys, items = (value.keys(), value.values()) if type(value) is dict else ((), value)
    return depth <= 4 and all(type(k) is int and k >= 0 for k in keys) and all(plain(v, depth + 1) for v in items)


def decoded(data, fault="non-canonical"):
    """The item in `data`: written anew it must give the same bytes, for cbor2 reads many forms of a value."""
    try:
        value = cbor2.loads(data)
        same = plain(value) and cbor2.dumps(value, canonical=True) == data
    except Exception:  # cbor2 has many ways to fail: tags, dates, depth
        same = False
    need(same, "not deterministic CBOR of the allowed types", fault)
    return value


def opened(data):
    """Payload and signature of an envelope."""
    found = re.fullmatch(rb"\x84\x43\xa1\x01\x27\xa0(.+)\x58\x40(.{64})", data, re.DOTALL)
    payload = found and decoded(found[1], "envelope")
    need(type(payload) is bytes, "not an envelope in its one form", "envelope")
    return payload, found[2]


def verify(public, message, signature):
    """Strict verification; `public` has passed `strict`. OpenSSL checks the equation, without the cofactor."""
    need(int.from_bytes(signature[32:], "little") < L and strict(signature[:32]), "R or S", "signature")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        raise Refused("signature", "not that of the key that should have signed") from None


def signed(kind, public, payload):
    """What `public` signs where it signs `payload` as an object of this type."""
    return cbor2.dumps(["Signature1", b"\xa1\x01\x27", f"lafs-clearinghouse/{kind}\0".encode() + public, payload])


def permission(r, grid, keys):
    """The delegation in a record's authority, of which `keys` are looked at; the record must keep to it."""
    try:
        payload, signature = opened(r[5])
        d = decoded(payload)
        fits("delegation", d, keys)
        need(d[2] != grid and 0 < d[3] - d[1] <= 400 * DAY, "publisher or not_after")
        need(r[2] >= d[1] - SKEW and r[3] <= d[3], "the record is outside its time")
        need(not r[4] and not {13, 14} & r.keys(), "the record says what a publisher may not")
        verify(grid, signed("delegation/1", grid, payload), signature)
    except Refused as fault:
        raise Refused("upgrade" if fault.args[0] == "upgrade" else "delegation", fault.args[1]) from None
    return d


def understood(r, d, grid):
    """What a reader demands of a record that a holder accepts."""
    need(r[0] == 1 and (d is None or d[0] == 1), "a later format", "upgrade")
    fits("record", r)
    for line in r.get(9, []):
        begin, end, after = line.get(2, r[2]), line.get(3, r[3]), line.get(4)
        need(line.get(2) != r[2] and line.get(3) != r[3], "rate: a default is written out")
        need(r[2] < end <= r[2] + 400 * DAY and (3 not in line or begin <= end), "rate: committed_until")
        need(not after or begin < after[1] and (after[0] <= line[1] or end <= after[1]), "rate: next")
    assets, peers = [line[0] for line in r.get(9, [])], [node[0] for node in r.get(10, [])]
    need(assets == sorted({*assets}) and len(peers) == len({*peers}), "rates not ascending, or a node twice")
    need(grid not in (r.get(14), r.get(15)), "its own successor or predecessor")
    need(not r[4] or not {*range(6, 12), 14, 15} & r.keys(), "a withdrawn record says more")
    if d is not None:
        permission(r, grid, range(64))
        most, end, limits = d.get(5), d.get(6, d[3]), [gateway[5] for gateway in r.get(8, []) if 5 in gateway]
        need(all(most and v[0] == most[0] and v[1] <= most[1] for v in limits), "above max_limit", "delegation")
        need(all(v.get(3, r[3]) <= end for v in r.get(9, [])), "a rate is committed for too long", "delegation")


def judged(data, grid, role, now):
    """What `role` reads in a record of the grid with this key, in the order of record.md's steps; raises `Refused`."""
    need(data, "no bytes", "empty")
    need(len(data) <= 995, f"{len(data)} octets", "too-big")
    payload, signature = opened(data)
    r = decoded(payload)
    fits("record", r, range(6))
    lasting = r[4] or 14 in r
    need(r[1] // 1000 == r[2] and 0 < r[3] - r[2] <= (3660 if lasting else 30) * DAY, "sequence or lifetime")
    d = permission(r, grid, range(4)) if type(r[5]) is bytes else None
    need(not lasting or len(data) <= 256, f"{len(data)} octets of a record that may live for years", "too-big")
    serial, signer = (d[1], d[2]) if d else (r[5], grid)
    verify(signer, signed("record/1", signer, payload), signature)
    if role == "reader":
        understood(r, d, grid)
    need(r[3] > now, f"expired at {r[3]}", "time-expired")
    need(max(r[2], serial) <= now + SKEW, f"issued at {r[2]}, serial {serial}", "time-future")
    read = view("record", {k: d if d and k == 5 else v for k, v in r.items() if role == "reader" or k < 5})
    facts = {"identity": hashlib.sha256(b"record/1\0" + grid + payload).digest(), "serial": serial}
    return read | {name: view(name, v) for name, v in (facts | ({"publisher": signer} if d else {})).items()}


def grid_key(text):
    """The key in a grid id: 52 characters of base32 and no second way to write them."""
    key = base64.b32decode(text.removeprefix("pub-v0-").upper() + "====")
    if "pub-v0-" + base64.b32encode(key).decode().lower().rstrip("=") != text or not strict(key):
        raise ValueError(f"`{text}` is no grid id")
    return key


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path, metavar="FILE", help="the record's bytes")
    parser.add_argument("--grid", type=grid_key, required=True, metavar="GRID_ID", help="pub-v0-...")
    parser.add_argument("--now", type=int, default=int(time.time()), metavar="UNIX", help="seconds (default: now)")
    parser.add_argument("--role", choices=("reader", "holder"), default="reader", help="who judges (default: reader)")
    parser.add_argument("--json", action="store_true", help="print the fields")
    args = parser.parse_args()
    try:
        read = judged(args.file.read_bytes(), args.grid, args.role, args.now)
    except Refused as fault:
        raise SystemExit("verify_record: error: " + ": ".join(fault.args)) from None
    print(json.dumps(read, indent=1) if args.json else f"ok: sequence {read['sequence']}, identity {read['identity']}")


if __name__ == "__main__":
    main()
