#!/usr/bin/env python3
"""Computes the bills in an evidence bundle by docs/spec/clearing.md alone: a second opinion that shares no code with the program.

Needs `cbor2` and `cryptography`. Prints one line of JSON. Exit status: 0 everything holds, 1 something does not (said on
stderr), 2 usage. Whose the keys are that opened a lane is for the auditor to know: this checks that they signed."""
import base64
import hashlib
import json
import pathlib
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

GIB, MOST = 2**30, 2**63 - 1


class Refused(Exception):
    """Something in the bundle does not hold."""


def need(truth, what):
    if not truth:
        raise Refused(what)


def decoded(data, what):
    """The CBOR in `data`; written anew it must be the same, since there is one form of each value."""
    try:
        value = cbor2.loads(data)
        same = cbor2.dumps(value, canonical=True) == data
    except Exception as error:
        raise Refused(f"{what}: no CBOR: {error}") from None
    need(same, f"{what}: not deterministic CBOR")
    return value


def verify(kind, payload, key, signature, what):
    aad = b"lafs-clearinghouse/" + kind.encode() + b"\0" + key
    signed = cbor2.dumps(["Signature1", b"\xa1\x01\x27", aad, payload])
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise Refused(f"{what}: the signature is not one of {key.hex()}") from None


def opened(data, what):
    """The payload of an envelope, the map in it, and the signature."""
    envelope = decoded(data, what)
    right = type(envelope) is list and len(envelope) == 4 and envelope[:2] == [b"\xa1\x01\x27", {}]
    need(right and type(envelope[2]) is bytes and len(envelope[3]) == 64, f"{what}: not an envelope")
    body = decoded(envelope[2], what)
    need(type(body) is dict, f"{what}: no map")
    return envelope[2], body, envelope[3]


def identity(kind, owner, payload):
    return hashlib.sha256(kind.encode() + b"\0" + owner + payload).digest()


def agreed(kind, data, what):
    """What both sides signed: keys 1 and 3 of the payload, the payer's signature in the envelope, the payee's behind it."""
    payload, body, first = opened(data[:-64], what)
    need(body[1] != body[3], f"{what}: one key signed for both")
    verify(kind, payload, body[1], first, what)
    verify(kind, payload, body[3], data[-64:], what)
    return identity(kind, b"", payload), body


def record(data, grid, what):
    """A grid's record: signed by the grid key, or by the publisher that the delegation in key 5 names."""
    payload, body, signature = opened(data, what)
    key = grid
    if type(body[5]) is bytes:
        permission, delegation, by_grid = opened(body[5], what)
        verify("delegation/1", permission, grid, by_grid, what)
        need(body[2] >= delegation[1] - 7_200 and body[3] <= delegation[3], f"{what}: outside its delegation")
        key = delegation[2]
    verify("record/1", payload, key, signature, what)
    return identity("record/1", grid, payload), body


def price_by_record(body, asset, at):
    """The lowest of what the record publishes and has committed to at a time; free binds in every asset."""
    prices = []
    for line in body.get(9, []):
        if line[0] not in (asset, "XXX"):
            continue
        begin, committed = line.get(2, body[2]), line.get(3, body[3])
        if begin <= at < committed:
            prices.append(line[1])
        if begin <= at < body[3]:
            after = line.get(4)
            prices.append(after[0] if after and after[1] <= at else line[1])
    return min(prices, default=None)


def price_by_deck(body, lane):
    covers = body[7] <= lane[18] < body[8] and body.get(3, lane[0]) == lane[0]
    right = body[0] == lane[2] and body[5] == lane[5]
    return body[6] if covers and right and body.get(4, destination(lane)) == destination(lane) else None


def destination(lane):
    return lane.get(4, lane[2])


class Papers:
    """The terms, decks and records of a bundle, by identity."""

    def __init__(self, listed):
        self.terms, self.decks, self.records = {}, {}, {}
        for place, paper in enumerate(listed):
            kind, grid, data, what = paper[0], paper[1], paper[2], f"paper {place}"
            if kind == "terms/1":
                name, body = agreed(kind, data, what)
                self.terms[name] = body
            elif kind == "deck/1":
                payload, body, signature = opened(data, what)
                verify(kind, payload, body[1], signature, what)
                self.decks[identity(kind, body[0], payload)] = body
            elif kind == "record/1":
                name, body = record(data, grid, what)
                self.records[name] = (grid, body)
            else:
                raise Refused(f"{what}: `{kind}` has no place in a bundle")

    def check(self, lane, what):
        """Whether a lane has the terms that it names, and the price that its evidence gives."""
        if 8 in lane:
            need(lane[8] in self.terms, f"{what}: its terms are missing")
            terms = self.terms[lane[8]]
            need([terms[0], terms[2], terms[5]] == [lane[0], lane[2], lane[5]], f"{what}: the terms of others")
            need(terms[10] <= lane[18] < terms[11], f"{what}: its terms were not in force")
        if 7 not in lane:
            need(lane[6] == 0, f"{what}: a price without evidence")
            return
        if lane[7] in self.records:
            grid, body = self.records[lane[7]]
            price = price_by_record(body, lane[5], lane[18]) if grid == lane[2] else None
        else:
            need(lane[7] in self.decks, f"{what}: the evidence for its price is missing")
            price = price_by_deck(self.decks[lane[7]], lane)
        need(price == lane[6], f"{what}: its price is {lane[6]}, and the evidence gives {price}")


def billed(papers, pair, seen, what):
    """Who owes whom for one lane: payer, payee, asset, octets, minor units."""
    name, lane = agreed("lane-open/1", pair[0], what)
    need(name not in seen, f"{what}: the same lane a second time")
    seen.add(name)
    need(lane[18] < lane[19] <= lane[18] + 86_400, f"{what}: open for longer than a day")
    papers.check(lane, what)
    payload, voucher, signature = opened(pair[1], what)
    verify("voucher/1", payload, lane[13], signature, what)
    need(voucher[0] == name, f"{what}: a voucher of another lane")
    # The one rounding there is: up, on all octets of the lane together.
    need(voucher[2] == -(-voucher[1] * lane[6] // GIB) <= MOST, f"{what}: not the charge for its octets")
    return (lane[0], lane[2], lane[5]), voucher[1], voucher[2]


def audit(data):
    bundle = decoded(data, "the bundle")
    need(type(bundle) is dict and bundle.get(0) == 1, "the bundle: not of format 1")
    papers, seen, bills = Papers(bundle.get(1, [])), set(), {}
    for place, pair in enumerate(bundle.get(2, [])):
        key, octets, amount = billed(papers, pair, seen, f"lane {place}")
        bill = bills.setdefault(key, [0, 0, 0])
        bills[key] = [bill[0] + 1, bill[1] + octets, bill[2] + amount]
    text = lambda key: "pub-v0-" + base64.b32encode(key).decode().rstrip("=").lower()  # noqa: E731
    return [
        {"payer": text(payer), "payee": text(payee), "asset": asset, "lanes": lanes, "bytes": str(octets), "amount": str(amount)}
        for (payer, payee, asset), (lanes, octets, amount) in sorted(bills.items())
    ]


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(print(__doc__, "usage: audit_bundle.py FILE", sep="\n", file=sys.stderr) or 2)
    try:
        print(json.dumps({"bills": audit(pathlib.Path(sys.argv[1]).read_bytes())}))
    except (Refused, KeyError, TypeError, IndexError) as error:
        sys.exit(f"audit_bundle: error: {error if isinstance(error, Refused) else f'a field is missing: {error!r}'}")
