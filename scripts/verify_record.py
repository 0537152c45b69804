#!/usr/bin/env python3
"""Verifies a grid record by docs/spec/ alone: a second opinion that shares no code with the program.
Needs `cbor2` and `cryptography`. Exit status: 0 accepted, 1 refused (class and place on stderr), 2 usage."""
import argparse, base64, cbor2, hashlib, ipaddress, json, pathlib, re, time  # noqa: E401
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DAY, SKEW, LATEST, P = 86_400, 7_200, 253_402_207_200, 2**255 - 19
D, L = -121665 * pow(121666, -1, P) % P, 2**252 + 27742317777372353535851937790883648493
SCALES = dict(line.split(",") for line in pathlib.Path(__file__).parents[1].joinpath("docs/spec/assets.csv").open())
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = rf"(?:{LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)(?![a-z0-9.-])){LABEL}(?![a-z0-9.-])"
HINT = rf"(?!tcp:)[a-z0-9]+:[0-9A-Za-z.:_=\[\]-]+|tcp:(?:{HOST}|([0-9.]+)|\[([0-9a-f.:]+)\]):([1-9][0-9]{{0,4}})"
TRANSPORT = r"(?:\x06(?!\0\0)..|\x91\x02(?!\0\0)..\xcd\x03)"
MAPS = {  # how many keys are mandatory, and of what kind the values under key 0, 1, ... are; `*n` for 1 to n of it
    "record": (6, "format uint time time bool authority nickname contact*4 gateway*4 rate*4 node*4 key*2 hash hash key "
               "key uint"), "delegation": (4, "format time key time hash limit time"), "next": (2, "amount time"),
    "gateway": (0, "host port hash key roles limit furl"), "rate": (2, "asset amount time time next"),
    "limit": (2, "asset amount"), "node": (2, "peer_id address*2"),
}  # fmt: skip
FORMS = {  # by type and kind: what a value is in, or what a text, or octets as Latin-1, must match
    bool: {"bool": (False, True)},
    int: {"uint": range(2**64), "format": range(1, 2**64), "time": range(1, LATEST + 1), "amount": range(2**63),
          "authority": range(1, LATEST + 1), "port": range(1, 65_536), "roles": range(2, 2**64)},
    str: {"asset": "[A-Z]{3,5}", "contact": r"(?=.{1,128}\Z)(?:mailto|https|xmpp|matrix|tel):[!#-;=?-~]+",
          "nickname": r"(?!\s)[^\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+(?<!\s)",
          "host": rf"(?=.{{1,128}}\Z){HOST}", "furl": r"(?=.{1,256}\Z)pb://[a-z2-7]{32}@[!-.0-~]+/[!-~]+(?<!#v=1)"},
    bytes: {"hash": ".{32}", "key": ".{32}", "authority": ".*", "host": r".{4}|(?!\0{10}\xff\xff).{16}",
            "peer_id": r"(?=.{2,42}\Z)(?:\0|\x12\x20).+",
            "address": rf"(?=.{{1,128}}\Z)(?:(?:\x04.{{4}}|\x29.{{16}}|[567].{HOST}){TRANSPORT}|8.{HOST})"},
}  # fmt: skip

def need(truth, place, fault="field"):
    if not truth: raise SystemExit(f"error: {fault}: {place}")  # noqa: E701. Uncaught, that is the last word, status 1

def tried(act):  # what it gives, or None where it fails in whatever way
    try:
        return act()
    except Exception:
        return None

def strict(point):  # whether 32 octets are a point in its one encoding, and not one of the eight of small order
    y = int.from_bytes(point, "little") % 2**255
    on_curve = pow((y * y - 1) * (D * y * y + 1), P // 2, P) == 1  # Euler's criterion; x = 0 (orders 1 and 2) fails too
    return y < P and on_curve and y != 0 and (2 * y * y - 1 + D * y**4) % P != 0  # last, order 8: doubled, it has y = 0

def hint(text):  # of a FURL; an IP address has one form, and that of IPv4 is judged inside an IPv6 address
    written = (found := re.fullmatch(HINT, text)) and (found[2] or f"::ffff:{found[1] or '0.0.0.0'}")
    ip = tried(lambda: ipaddress.IPv6Address(written))
    return ip and int(found[3] or 0) < 65_536 and written == (f"::ffff:{ip.ipv4_mapped}" if ip.ipv4_mapped else str(ip))

FAULTS = {"key": "key", "asset": "upgrade", "roles": "upgrade"}  # of the next table; of all others it is `field`
RULES = {  # what a kind demands besides its form
    "key": strict, "asset": SCALES.__contains__, "roles": lambda v: v < 16, "peer_id": lambda v: len(v) == 2 + v[1],
    "nickname": lambda v: len(v.encode()) <= 64, "furl": lambda v: all(map(hint, v[38:].split("/")[0].split(","))),
    "address": lambda v: v[0] in (4, 41) or v[1] == len(re.match(HOST, v[2:].decode("latin-1"))[0]),
    "rate": lambda v: v[0] != "XXX" or v[1] == 0 and (4 not in v or v[4][0] == 0),
    "gateway": lambda v: {0, 1, 2, 6} & v.keys() in ({0, 1, 2}, {6}, {6} if v.get(4, 1) & 9 else set())
    and (3 in v if v.get(4, 1) & 6 else 5 not in v),
}  # fmt: skip

def fits(kind, v, keys=range(64)):  # gives `v` without unknown keys, if it is of this kind; of a map these keys count
    kind, _, most = kind.partition("*")
    if most:
        need(type(v) is list and 0 < len(v) <= int(most), f"{kind}: not 1 to {most} of it")
        known = [fits(kind, item) for item in v]
        return need(all(v not in known[:at] for at, v in enumerate(known)), f"{kind}: twice the same") or known
    if kind in MAPS:
        least, fields = MAPS[kind][0], MAPS[kind][1].split()
        need(type(v) is dict and {*range(least)} <= v.keys(), f"{kind}: no map, or a key is missing")
        need(all(k < len(fields) for k in v if k in keys), f"{kind}: an unknown key", "upgrade")
        v = {k: fits(fields[k], v[k]) for k in v if k in keys}
    else:
        form, text = FORMS.get(type(v), {}).get(kind, ()), v.decode("latin-1") if type(v) is bytes else v
        need(re.fullmatch(form, text, re.DOTALL) if type(form) is str else v in form, f"{kind}: {v!r}")
    need(kind not in RULES or RULES[kind](v), f"{kind}: {v!r}", FAULTS.get(kind, "field"))
    return v

def plain(v, depth=1):  # whether only the allowed types occur, not too deep
    keys, items = (v.keys(), v.values()) if type(v) is dict else ((), v if type(v) is list else ())
    deep = all(type(k) is int and k >= 0 for k in keys) and all(plain(item, depth + 1) for item in items)
    return depth < 5 and deep if type(v) in (dict, list) else type(v) in (bytes, str, bool) or type(v) is int and v >= 0

def decoded(data, fault="non-canonical"):  # written anew it must be the same, for cbor2 reads many forms of a value
    value = tried(lambda: cbor2.loads(data))
    same = plain(value) and tried(lambda: cbor2.dumps(value, canonical=True)) == data
    return need(same, "not deterministic CBOR of the allowed types", fault) or value

def verify(public, message, signature):  # OpenSSL checks the equation, without the cofactor
    need(int.from_bytes(signature[32:], "little") < L and strict(signature[:32]), "R or S", "signature")
    verified = tried(lambda: not Ed25519PublicKey.from_public_bytes(public).verify(signature, message))
    need(verified, "not by the key that should have signed", "signature")

def opened(kind, data):  # the payload of an envelope, the map in it, and what demands that a key has signed it
    found = decoded(data, "envelope")
    right = type(found) is list and [*map(type, found)] == [bytes, dict, bytes, bytes] and len(found[3]) == 64
    need(right and found[:2] == [b"\xa1\x01\x27", {}], "not its one form", "envelope")
    signed = lambda key: cbor2.dumps(["Signature1", found[0], f"lafs-clearinghouse/{kind}\0".encode() + key, found[2]])
    return found[2], decoded(found[2]), lambda key: verify(key, signed(key), found[3])

def permission(r, grid, reads):  # the delegation in a record's authority; the record must keep to it
    try:
        _, d, signed_by = opened("delegation/1", r[5])
        fits("delegation", d, range(4))
        if reads and d[0] == 1: fits("delegation", d)  # noqa: E701
        need(d[2] != grid and 0 < d[3] - d[1] <= 400 * DAY, "publisher or not_after")
        need(r[2] >= d[1] - SKEW and r[3] <= d[3] and not r[4] and not {13, 14} & r.keys(), "not what a publisher may")
        return signed_by(grid) or d
    except SystemExit as fault:
        raise SystemExit(re.sub("^error: (?!upgrade)[a-z-]+", "error: delegation", fault.code)) from None

def judged(data, grid, role, now):  # the map in a record of the grid with this key, its delegation, its identity; None: any day
    need(0 < len(data) <= 995, f"{len(data)} octets", "too-big" if data else "empty")
    payload, r, signed_by = opened("record/1", data)
    fits("record", r, range(6))
    lasting = r[4] or 14 in r
    need(r[1] // 1000 == r[2] and 0 < r[3] - r[2] <= (3660 if lasting else 30) * DAY, "sequence or lifetime")
    d = permission(r, grid, role == "reader") if type(r[5]) is bytes else {1: r[5], 2: grid}
    need(not lasting or len(data) <= 256, f"{len(data)} octets of a record that may live for years", "too-big")
    signed_by(d[2])
    if role == "reader": understood(r, d, grid)  # noqa: E701
    need(now is None or r[3] > now, f"expired at {r[3]}", "time-expired")
    need(now is None or max(r[2], d[1]) <= now + SKEW, f"issued at {r[2]}, serial {d[1]}", "time-future")
    return r, d, hashlib.sha256(b"record/1\0" + grid + payload).digest()

def understood(r, d, grid):  # what a reader demands of a record that a holder accepts
    need(r[0] == d.get(0, 1) == 1, "a later format", "upgrade")
    fits("record", r)
    for line in r.get(9, []):
        begin, end, after = line.get(2, r[2]), line.get(3, r[3]), line.get(4, {0: 0, 1: LATEST + 1})
        need(line.get(2) != r[2] and line.get(3) != r[3], "rate: a default is written out")
        need(r[2] < end <= r[2] + 400 * DAY and (3 not in line or begin <= end), "rate: committed_until")
        need(begin < after[1] and (after[0] <= line[1] or end <= after[1]), "rate: next")
        need(0 not in d or end <= d.get(6, d[3]), "a rate is committed for too long", "delegation")
    for limit in [gateway[5] for gateway in r.get(8, []) if 5 in gateway and 0 in d]:
        need(5 in d and d[5][0] == limit[0] and d[5][1] >= limit[1], "above max_limit", "delegation")
    assets, nodes = [line[0] for line in r.get(9, [])], r.get(10, [])
    need(assets == sorted({*assets}) and len(nodes) == len({node[0] for node in nodes}), "order of rates, or nodes")
    need(grid not in (r.get(14), r.get(15)) and not (r[4] and {*range(6, 12), 14, 15} & r.keys()), "moved or withdrawn")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path, metavar="FILE", help="the record's bytes")
    parser.add_argument("--grid", required=True, metavar="GRID_ID", help="pub-v0-...")
    parser.add_argument("--now", type=int, default=int(time.time()), metavar="UNIX", help="seconds (default: now)")
    arg = parser.parse_args()
    key = base64.b32decode(arg.grid[7:].upper() + "====") if re.fullmatch("pub-v0-[a-z2-7]{51}[aq]", arg.grid) else b""
    if not strict(key): parser.error(f"`{arg.grid}` is no grid id")  # noqa: E701
    r, _, identity = judged(arg.file.read_bytes(), key, "reader", arg.now)
    print(f"ok: sequence {r[1]}, identity {identity.hex()}", json.dumps(r, default=bytes.hex), sep="\n")
