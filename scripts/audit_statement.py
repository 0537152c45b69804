#!/usr/bin/env python3
"""Computes signed statements again by docs/spec/clearing.md alone: a second opinion that shares no code with the program.

Beside verify_record.py and verify_money.py; needs `cbor2` and `cryptography`. Prints one line of JSON for each statement that holds.
Exit status: 0 everything holds, 1 something does not (said on stderr), 2 usage, 3 all of it holds, and whether a key may sign
for its grid is not known: `--record` names a record of that grid which lists the key."""

import argparse
import base64
import json
import pathlib
import sys
import time

import verify_money as vm
import verify_record as vr

AMOUNTS = "brought_forward charged set_off settled payable carried".split()
NAMES = "issuer signer creditor debtor asset from until position".split() + AMOUNTS  # of keys 0 to 13
PAYABLE = {"XXX": 1, "BTC": 10**3, "ZEC": 10**3}  # minor units in a payable unit; of every other asset 10^7
SERVE_SPEND_TERMS = 7


def entries(data):
    """The statement and the positions in a file, each as bytes."""
    if not data or data[0] >> 5 != 5:  # no map: a statement alone
        return data, []
    v = vr.decoded(data)
    vr.need(all(key < 3 or key >= 64 for key in v), "an unknown key", "upgrade")
    vr.need(type(v.get(0)) is int and type(v.get(1)) is bytes, "no format, or no statement")
    vr.need(v[0] == 1, "not of format 1", "upgrade")
    vr.need(2 not in v or type(v[2]) is list and 0 < len(v[2]) <= 2**20, "positions: no list, an empty one, or too many")
    vr.need(all(type(item) is bytes for item in v.get(2, [])), "positions: not each of them octets")
    return v[1], v.get(2, [])


def total(position, party):
    """What a party was charged since the beginning, and what of its debt is settled."""
    return (position[10 + party], position[12 + party]) if position else (0, 0)


def net(position):
    """What the first owes the second, set off."""
    (charged, settled), (charged_back, settled_back) = total(position, 0), total(position, 1)
    return charged - settled - charged_back + settled_back


def follow(chain, begins):
    """Demands that the positions are one history which reaches back to where the period begins."""
    for place, ((name, before), (_, after)) in enumerate(zip(chain, chain[1:]), 1):
        vr.need([after[key] for key in (0, 2, 3, 4)] == [before[key] for key in (0, 2, 3, 4)], f"position {place}: others", "chain")
        vr.need(after.get(6) == name and after[5] == before[5] + 1, f"position {place}: the history forked", "chain")
        for party in (0, 1):
            charged = sum(line[5] - line[4] for line in after.get(8, []) if line[1] == party)
            settled = sum(line[3] for line in after.get(9, []) if line[2] == party)
            charged_before, settled_before = total(before, party)
            sums = (charged_before + charged, settled_before + settled)
            vr.need(total(after, party) == sums, f"position {place}: its totals do not follow", "chain")
        vr.need(before[7] <= after[7], f"position {place}: older than the one before it", "chain")
    vr.need(not chain or chain[0][1][5] == 1 or chain[0][1][7] < begins, "the last position before the period is missing", "chain")


def bill(chain, begins, ends):
    """What a statement of the period has to say under keys 0 to 4 and 7 to 13."""
    known = [(name, position) for name, position in chain if position[7] < ends]
    vr.need(known, "nothing was booked before its end", "figure")
    name, last = known[-1]
    before = next((position for _, position in reversed(known) if position[7] < begins), None)
    debtor = 0 if net(last) >= 0 else 1
    (charged, settled), (charged_back, settled_back) = (
        [now - then for now, then in zip(total(last, party), total(before, party))] for party in (debtor, 1 - debtor)
    )
    owed = net(before) if debtor == 0 else -net(before)
    due, unit = abs(net(last)), PAYABLE.get(last[4], 10**7)
    figures = [max(0, owed) + settled_back, charged, max(0, -owed) + charged_back, settled, due - due % unit, due % unit]
    return {0: last[0], 2: last[3 - debtor], 3: last[2 + debtor], 4: last[4], 7: name, **dict(enumerate(figures, 8))}


def audit(data, now):
    """The identity of the statement, its map, and how many positions it follows from."""
    signed, positions = entries(data)
    name, v = vm.one("statement/1", signed)
    chain = [vm.one("position/1", position) for position in positions]
    follow(chain, v[5])
    vr.need(v[6] <= now, f"its period is not over before {v[6]}", "not-over")
    for key, found in bill(chain, v[5], v[6]).items() if chain else ():
        vr.need(v.get(key) == found, f"{NAMES[key]}: it says {v.get(key)}, and the positions come to {found}", "figure")
    return name, v, len(chain)


def known_by(v, records):
    """By what it is known that the key may sign: it is the grid's own, or a record of the grid lists it."""
    if v[0] == v[1]:
        return "grid_key"
    for data in records:
        record, delegation, _ = vr.judged(data, v[0], "reader", None)
        listed = [gateway.get(3) for gateway in record.get(8, []) if gateway.get(4, 1) & SERVE_SPEND_TERMS]
        if v[1] in listed or 0 in delegation and v[1] == delegation[2]:
            return "record"
    return "unknown"


def shown(name, v, positions):
    """The statement by the names that `statement check --json` has."""
    text = lambda key: "pub-v0-" + base64.b32encode(key).decode().rstrip("=").lower()  # noqa: E731
    view = {"statement": name.hex()} | {NAMES[key]: text(v[key]) for key in (0, 1, 2, 3)}
    view |= {"from_unix_seconds": v[5], "until_unix_seconds": v[6], "asset": v[4], "scale": int(vr.SCALES[v[4]])}
    view |= {NAMES[key]: str(v[key]) for key in range(8, 14)} | ({"position": v[7].hex()} if 7 in v else {})
    return view | {"positions": positions}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE", help="as `statement --sign` writes it, or a gateway gives it")
    parser.add_argument("--record", action="append", default=[], type=pathlib.Path, metavar="FILE", help="a record of the issuer")
    parser.add_argument("--now", type=int, default=int(time.time()), metavar="UNIX", help="seconds (default: now)")
    arg = parser.parse_args()
    status = 0
    for file in arg.files:
        try:
            name, v, positions = audit(file.read_bytes(), arg.now)
            authority = known_by(v, [record.read_bytes() for record in arg.record])
            view = shown(name, v, positions) | {"signer_known_by": authority}
            print(json.dumps(({"file": str(file)} if arg.files[1:] else {}) | view))
            status = status or 3 * (authority == "unknown")
        except (SystemExit, OSError) as fault:
            status = 1
            print(f"audit_statement: {file}: {fault}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
