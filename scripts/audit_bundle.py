#!/usr/bin/env python3
"""Computes the bills in evidence bundles by docs/spec/clearing.md alone: a second opinion that shares no code with the program.

Beside verify_record.py and verify_money.py; needs `cbor2` and `cryptography`. Prints one line of JSON for each bundle that holds.
Exit status: 0 everything holds, 1 something does not (said on stderr), 2 usage. Whose the keys are that opened a lane is for the
auditor to know: this checks that they signed."""

import base64
import json
import pathlib
import sys

import verify_money as vm
import verify_record as vr

FORMS = {"the bundle": (0, "format papers lanes"), "paper": (3, "kind grid bytes"), "lane": (2, "open voucher")}
TYPES = {"kind": str, "grid": bytes, "bytes": bytes, "open": bytes, "voucher": bytes}


def entries(v, what):
    """The values of a map of a bundle, None for those that are left out; all of a paper and of a lane must be there."""
    least, names = FORMS[what.rstrip(" 0123456789")]
    names = names.split()
    vr.need(type(v) is dict and {*range(least)} <= v.keys(), f"{what}: no map, or a key is missing")
    vr.need(all(key < len(names) or key >= 64 for key in v), f"{what}: an unknown key", "upgrade")
    for key, name in enumerate(names):
        vr.need(key not in v or type(v[key]) is TYPES.get(name, type(v[key])), f"{what}: {name}")
    return [v.get(key) for key in range(len(names))]


def listed(v, what):
    """A list, which is left out when it is empty."""
    vr.need(v is None or type(v) is list and v, f"{what}: no list, or an empty one")
    return v or []


class Papers:
    """The terms, decks and records of a bundle, by identity."""

    def __init__(self, papers):
        self.terms, self.decks, self.records = {}, {}, {}
        for place, paper in enumerate(papers):
            kind, grid, data = entries(paper, f"paper {place}")
            vr.need(len(grid) == 32, f"paper {place}: grid")
            if kind == "terms/1":
                self.terms.update([vm.both(kind, data)])
            elif kind == "deck/1":
                self.decks.update([vm.one(kind, data)])
            else:
                vr.need(kind == "record/1", f"paper {place}: `{kind}` has no place in a bundle")
                vr.need(vr.strict(grid), f"paper {place}: grid", "key")
                record, _, name = vr.judged(data, grid, "reader", None)
                self.records[name] = (grid, record)

    def check(self, lane, what):
        """Whether a lane has the terms that it names, and the price that its evidence gives."""
        if 8 in lane:
            vr.need(lane[8] in self.terms, f"{what}: its terms are missing")
            terms = self.terms[lane[8]]
            vr.need([terms[0], terms[2], terms[5]] == [lane[0], lane[2], lane[5]], f"{what}: the terms of others")
            vr.need(terms[10] <= lane[18] < terms[11], f"{what}: its terms were not in force")
        if 7 not in lane:
            return
        if lane[7] in self.records:
            grid, record = self.records[lane[7]]
            price = vm.binding([record], lane[5], lane[18]) if grid == lane[2] else None
        else:
            vr.need(lane[7] in self.decks, f"{what}: the evidence for its price is missing")
            price = price_by_deck(self.decks[lane[7]], lane)
        vr.need(price == lane[6], f"{what}: its price is {lane[6]}, and the evidence gives {price}")


def price_by_deck(deck, lane):
    covers = deck[7] <= lane[18] < deck[8] and deck.get(3, lane[0]) == lane[0]
    destination = lane.get(4, lane[2])
    right = deck[0] == lane[2] and deck[5] == lane[5] and deck.get(4, destination) == destination
    return deck[6] if covers and right else None


def audit(data):
    """The bills: who owes whom how much in which asset, on how many lanes, for how many octets."""
    form, papers, lanes = entries(vr.decoded(data), "the bundle")
    vr.need(form == 1 and type(form) is int, "the bundle: not of format 1", "upgrade")
    papers, seen, bills = Papers(listed(papers, "papers")), set(), {}
    for place, pair in enumerate(listed(lanes, "lanes")):
        what = f"lane {place}"
        opening, data = entries(pair, what)
        name, lane = vm.both("lane-open/1", opening)
        _, voucher = vm.of_lane("voucher/1", data, opening)
        vr.need(name not in seen, f"{what}: the same lane a second time")
        seen.add(name)
        papers.check(lane, what)
        bill = bills.setdefault((lane[0], lane[2], lane[5]), [0, 0, 0])
        bill[:] = [bill[0] + 1, bill[1] + voucher[1], bill[2] + voucher[2]]
    text = lambda key: "pub-v0-" + base64.b32encode(key).decode().rstrip("=").lower()  # noqa: E731
    return [
        {"payer": text(payer), "payee": text(payee), "asset": asset, "lanes": lanes, "bytes": str(octets), "amount": str(amount)}
        for (payer, payee, asset), (lanes, octets, amount) in sorted(bills.items())
    ]


def main(files):
    if not files or files[0].startswith("-"):
        print(__doc__, "usage: audit_bundle.py FILE...", sep="\n", file=sys.stderr)
        return 2
    refused = 0
    for file in files:
        try:
            bills = audit(pathlib.Path(file).read_bytes())
            print(json.dumps(({"file": file} if files[1:] else {}) | {"bills": bills}))
        except (SystemExit, OSError) as fault:
            refused = 1
            print(f"audit_bundle: {file}: {fault}", file=sys.stderr)
    return refused


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
