#!/usr/bin/env python3
"""Verifies an object of money by docs/spec/clearing.md alone. Beside verify_record.py, and as it: no code shared with the program,
`cbor2` and `cryptography`; 0 accepted, 1 refused (class and place on stderr), 2 usage."""

import argparse
import hashlib
import json
import pathlib

import cbor2
import verify_record as vr

GIB, MOST, DAY = 2**30, 2**63 - 1, 86_400
MAPS = {  # the most octets as stored, and the kinds under key 0, 1, ...: `?` may be left out, `*n` is a list of at most n
    "deck/1": (512, "grid key nth ?key ?grid currency amount time time"),
    "terms/1": (512, "grid key grid key ?grid currency amount window seconds amount time time id"),
    "lane-open/1": (768, "key key grid key ?grid currency amount ?hash ?hash ?hash ?hash id id key key id id hash time time"),
    "voucher/1": (256, "hash octets amount time hash"),
    "lane-report/1": (256, "hash amount time hash"),
    "claim/1": (344_320, "grid key grid time claimed*128"),
    "claimed": (None, "object ?object ?object ?object"),
    "receipt/1": (8_576, "grid key hash grid time booked*128"),
    "booked": (None, "hash amount amount ?refused"),
    "position/1": (32_768, "grid key grid grid currency nth ?hash time line*256 settled*256 amount amount amount amount"),
    "line": (None, "hash party amount amount amount amount"),
    "settled": (None, "means hash party more"),
    "consent/1": (512, "grid key grid hash currency amount amount amount amount time time"),
    "statement/1": (512, "grid key grid grid currency time time ?hash amount amount amount amount amount amount"),
    "payment/1": (512, "grid key grid currency more nth time nickname ?hash"),
    "revoke/1": (384, "grid key ended hash nth time ?nickname"),
}  # fmt: skip
CODES = {"refused": range(1, 6), "party": range(2), "means": range(1, 3), "ended": range(1, 5)}
BOTH = ("terms/1", "lane-open/1")

vr.FORMS[int] |= {"nth": range(1, MOST + 1), "octets": range(1, MOST + 1), "more": range(1, MOST + 1), "seconds": range(1, MOST + 1)}
vr.FORMS[int] |= {"window": range(2**20, 2**40 + 1)} | {code: range(MOST + 1) for code in CODES}
vr.FORMS[bytes] |= {"grid": ".{32}", "id": ".{16}", "object": ".{0,1024}"}
vr.FORMS[str]["currency"] = vr.FORMS[str]["asset"]
vr.FAULTS |= {"grid": "key"} | dict.fromkeys(CODES, "upgrade")
vr.RULES |= {"grid": vr.strict, "currency": vr.SCALES.__contains__} | {code: of.__contains__ for code, of in CODES.items()}


def charge(octets, price):
    """The one rounding there is: up, on all octets of a lane together."""
    return -(-octets * price // GIB)


def free_of_charge(asset, price):
    return asset != "XXX" or price == 0


def distinct(items):
    return len(items) == len({item[0] for item in items})


def position(v):
    lanes, settled = v.get(8, []), v.get(9, [])
    charged = [sum(line[5] - line[4] for line in lanes if line[1] == party) for party in (0, 1)]
    sums = charged + [sum(line[3] for line in settled if line[2] == party) for party in (0, 1)]
    right = v[2] < v[3] and (v[5] == 1) == (6 not in v) and (lanes or settled) and distinct(lanes)
    return right and (v[5] > 1 or sums == [v[key] for key in range(10, 14)])


RULES = {  # what the fields of a map say of each other
    "deck/1": lambda v: v[7] < v[8] and free_of_charge(v[5], v[6]),
    "terms/1": lambda v: v[0] != v[2] and v[1] != v[3] and v[10] < v[11],
    "lane-open/1": lambda v: v[0] != v[2] and v[1] != v[3] and v[13] != v[14] and v.get(4) != v[2]
    and free_of_charge(v[5], v[6]) and (v[6] == 0 or 7 in v) and v[18] < v[19] <= v[18] + DAY,
    "claim/1": lambda v: 4 in v,
    "receipt/1": lambda v: distinct(v.get(5, [])) and 5 in v,
    "position/1": position,
    "line": lambda v: v[2] < v[3] and v[4] <= v[5],
    "consent/1": lambda v: v[5] + v[8] == v[6] + v[7] and v[7] <= v[5] and v[8] <= v[6] and v[9] < v[10],
    "statement/1": lambda v: v[2] != v[3] and v[5] < v[6] and v[8] + v[9] == v[10] + v[11] + v[12] + v[13],
    "payment/1": lambda v: v[0] != v[2] and v[3] != "XXX",
}  # fmt: skip


def fits(kind, v):
    """The value without unknown keys, if it is of this kind."""
    kind, _, most = kind.removeprefix("?").partition("*")
    if most:
        vr.need(type(v) is list and 0 < len(v) <= int(most), f"{kind}: not 1 to {most} of it")
        return [fits(kind, item) for item in v]
    if kind not in MAPS:
        return vr.fits(kind, v)
    fields = MAPS[kind][1].split()
    vr.need(type(v) is dict, f"{kind}: no map")
    vr.need(all(key < len(fields) or key >= 64 for key in v), f"{kind}: an unknown key", "upgrade")
    needed = {key for key, of in enumerate(fields) if of[0] != "?" and "*" not in of}
    vr.need(needed <= v.keys(), f"{kind}: a key is missing")
    v = {key: fits(fields[key], item) for key, item in v.items() if key < 64}
    vr.need(kind not in RULES or RULES[kind](v), f"{kind}: its fields contradict each other")
    return v


def opened(kind, data):
    """The payload in an envelope, its map, and what demands that a key has signed it."""
    vr.need(0 < len(data) <= MAPS[kind][0], f"{len(data)} octets", "too-big" if data else "empty")
    payload, v, signed_by = vr.opened(kind, data)
    return payload, fits(kind, v), signed_by


def identity(kind, owner, payload):
    return hashlib.sha256(kind.encode() + b"\0" + owner + payload).digest()


def one(kind, data):
    """What one party has signed: its identity and its map."""
    payload, v, signed_by = opened(kind, data)
    signed_by(v[1])
    return identity(kind, v[0], payload), v


def both(kind, data):
    """What both sides have signed: the payer's signature in the envelope, the payee's behind it."""
    vr.need(len(data) > 64, "shorter than a signature", "envelope")
    payload, v, signed_by = opened(kind, data[:-64])
    signed_by(v[1])
    aad = b"lafs-clearinghouse/" + kind.encode() + b"\0" + v[3]
    vr.verify(v[3], cbor2.dumps(["Signature1", b"\xa1\x01\x27", aad, payload]), data[-64:])
    return identity(kind, b"", payload), v


def of_lane(kind, data, lane):
    """A voucher or a report of a lane, which is given as both sides have signed it."""
    name, opening = both("lane-open/1", lane)
    payload, v, signed_by = opened(kind, data)
    vr.need(v[0] == name, "key 0", "other-lane")
    signed_by(opening[13 if kind == "voucher/1" else 14])
    if kind == "voucher/1":
        vr.need(v[2] == charge(v[1], opening[6]), "key 2: not the charge for these octets")
    return identity(kind, v[0], payload), v


def commitments(record):
    """Asset, price, from, until of every rate line of a record."""
    return [(line[0], line[1], line.get(2, record[2]), line.get(3, record[3])) for line in record.get(9, [])]


def binding(records, asset, now):
    """The price that binds: the first record is the current one, the others are evidence."""
    given = [r for r in records if r[2] <= now + vr.SKEW]
    found = [(a, p) for r in given for a, p, begin, end in commitments(r) if begin <= now < end]
    for line in records[0].get(9, []) if records[0][3] > now else []:
        if line.get(2, records[0][2]) <= now:
            found.append((line[0], line[4][0] if 4 in line and line[4][1] <= now else line[1]))
    return min((p for a, p in found if a in (asset, "XXX")), default=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("type", choices=[kind for kind in MAPS if "/" in kind])
    parser.add_argument("file", type=pathlib.Path, metavar="FILE", help="the object's bytes")
    parser.add_argument("--lane", type=pathlib.Path, metavar="FILE", help="of a voucher or report: its lane")
    arg = parser.parse_args()
    data = arg.file.read_bytes()
    if arg.type in ("voucher/1", "lane-report/1"):
        if not arg.lane:
            parser.error(f"a {arg.type} is one of a lane: --lane FILE")
        name, found = of_lane(arg.type, data, arg.lane.read_bytes())
    else:
        name, found = (both if arg.type in BOTH else one)(arg.type, data)
    print(f"ok: identity {name.hex()}", json.dumps(found, default=bytes.hex), sep="\n")
