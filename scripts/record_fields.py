"""What stands in the maps of docs/spec/record.md, and what each value must be: tables, and how they are read."""

import ipaddress
import pathlib
import re

P, LATEST = 2**255 - 19, 253_402_207_200
D = -121665 * pow(121666, -1, P) % P
ASSETS = pathlib.Path(__file__).parents[1].joinpath("docs/spec/assets.csv").read_text(encoding="ascii").splitlines()
SCALES = {line[:3]: int(line[4:]) for line in ASSETS[1:]}
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = rf"(?:{LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)(?![a-z0-9.-])){LABEL}(?![a-z0-9.-])"
HINT = rf"(?!tcp:)[a-z0-9]+:[0-9A-Za-z.:_=\[\]-]+|tcp:(?:{HOST}|([0-9.]+)|\[([0-9a-f.:]+)\]):([1-9][0-9]{{0,4}})"
TRANSPORT = r"(?:\x06(?!\0\0)..|\x91\x02(?!\0\0)..\xcd\x03)"

# The maps of record.md: what stands under key 0, 1, ... and its kind, `*n` for 1 to n of it; mandatory before `/`.
MAPS = {
    "record": "format:format sequence:uint issued_at:time expires_at:time withdrawn:bool authority:authority / "
    "nickname:nickname contact:contact*4 gateways:gateway*4 rates:rate*4 nodes:node*4 clearing:key*2 previous:hash "
    "next:hash successor:key predecessor:key work:uint",
    "delegation": "format:format serial:time publisher:key not_after:time / next:hash max_limit:limit "
    "committed_until:time",
    "gateway": "/ host:host port:port spki_hash:hash key:key roles:roles limit:limit furl:furl",
    "limit": "asset:asset amount:amount /",
    "rate": "asset:asset price:amount / not_before:time committed_until:time next:next",
    "next": "price:amount not_before:time /",
    "node": "peer_id:peer_id addresses:address*2 /",
}
FIELDS = {kind: [field.split(":") for field in line.split() if field != "/"] for kind, line in MAPS.items()}
MANDATORY = {kind: {*range(line.partition("/")[0].count(":"))} for kind, line in MAPS.items()}
RANGES = {"format": (1, 2**64), "uint": (0, 2**64), "time": (1, LATEST + 1), "authority": (1, LATEST + 1)}
RANGES |= {"amount": (0, 2**63), "port": (1, 65_536), "roles": (2, 2**64)}
FORMS = {  # of text, and of octets as Latin-1
    str: {
        "asset": "[A-Z]{3,5}",
        "nickname": "[^\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+",
        "contact": r"(?=.{1,128}\Z)(?:mailto|https|xmpp|matrix|tel):[!#-;=?-~]+",
        "host": rf"(?=.{{1,128}}\Z){HOST}",
        "furl": r"(?=.{1,256}\Z)pb://[a-z2-7]{32}@[!-.0-~]+/[!-~]+(?<!#v=1)",
    },
    bytes: {
        "hash": ".{32}", "key": ".{32}", "authority": ".*", "host": r".{4}|(?!\0{10}\xff\xff).{16}",
        "peer_id": r"(?=.{2,42}\Z)(?:\0|\x12\x20).+",
        "address": rf"(?=.{{1,128}}\Z)(?:(?:\x04.{{4}}|\x29.{{16}}|[567].{HOST}){TRANSPORT}|8.{HOST})",
    },
}  # fmt: skip
RULES = {  # what a kind demands besides
    "key": lambda v: need(strict(v), v.hex(), "key"),
    "asset": lambda v: need(v in SCALES, v, "upgrade"),
    "roles": lambda v: need(v < 16, "an unknown role", "upgrade"),
    "nickname": lambda v: len(v.encode()) <= 64 and v == v.strip(),
    "furl": lambda v: all(map(hint, v[38:].split("/")[0].split(","))),
    "peer_id": lambda v: len(v) == 2 + v[1],
    "address": lambda v: v[0] in (4, 41) or v[1] == len(re.match(HOST, v[2:].decode("latin-1"))[0]),
    "gateway": lambda v: usable({0, 1, 2, 6} & v.keys(), v.get(4, 1), 3 in v, 5 in v),
    "rate": lambda v: v[0] != "XXX" or v[1] == 0 and (4 not in v or v[4][0] == 0),
}


class Refused(Exception):
    """The class of the fault, and its place."""


def need(truth, place, fault="field"):
    """Raises where `truth` does not hold; True otherwise, so that it may stand in an expression."""
    if not truth:
        raise Refused(fault, place)
    return True


def strict(point):
    """Whether 32 bytes are a point in its one encoding, and not one of the eight of small order."""
    y = int.from_bytes(point, "little") % 2**255
    # Euler's criterion also leaves out x = 0 (orders 1 and 2). The doubled point has y = 0 where the order is 8.
    on_curve = pow((y * y - 1) * (D * y * y + 1), P // 2, P) == 1
    return y < P and on_curve and y != 0 and (2 * y * y - 1 + D * y**4) % P != 0


def hint(v):
    """Whether this is a hint of a FURL. An IP address has one form; that of IPv4 is judged inside an IPv6 address."""
    found = re.fullmatch(HINT, v)
    if not found or not found[3]:
        return bool(found)
    written = found[2] or f"::ffff:{found[1] or '0.0.0.0'}"
    try:
        ip = ipaddress.IPv6Address(written)
    except ValueError:
        return False
    return int(found[3]) < 65_536 and written == (f"::ffff:{ip.ipv4_mapped}" if ip.ipv4_mapped else str(ip))


def usable(place, roles, key, limit):
    """Whether the parts of a gateway fit each other; `place` are the keys of its address."""
    complete = place in ({0, 1, 2}, {6}, set())
    return complete and (place or not roles & 9) and (key or not roles & 6) and (not limit or roles & 6)


def fits(kind, v, keys=range(64)):
    """Whether `v` is of a kind; raises where the class of a fault is another than `field`, and inside of maps."""
    kind, several, most = kind.partition("*")
    if several:
        right = type(v) is list and 0 < len(v) <= int(most) and all(fits(kind, item) for item in v)
        return right and all(view(kind, item) not in view(kind, v[:at]) for at, item in enumerate(v))
    if kind in MAPS:
        need(type(v) is dict and MANDATORY[kind] <= v.keys(), f"{kind}: no map, or a mandatory key is missing")
        for k in filter(keys.__contains__, v):
            need(k < len(FIELDS[kind]), f"{kind}: key {k} is unknown", "upgrade")
            need(fits(FIELDS[kind][k][1], v[k]), f"{kind}: {FIELDS[kind][k][0]}")
    elif type(v) is int:
        need(v in range(*RANGES.get(kind, (0, 0))), f"{kind}: {v}")
    elif type(v) in FORMS:
        text = v if type(v) is str else v.decode("latin-1")
        need(re.fullmatch(FORMS[type(v)].get(kind, "(?!)"), text, re.DOTALL), f"{kind}: {v!r}")
    else:
        need(type(v) is bool and kind == "bool", f"{kind}: {v!r}")
    return RULES.get(kind, lambda _: True)(v)


def view(kind, v):
    """The JSON view: known keys by name, integers as digits, octets as in h'00ff'."""
    if type(v) is list:
        return [view(kind.partition("*")[0], item) for item in v]
    if type(v) is dict:
        fields = FIELDS["delegation" if kind == "authority" else kind]
        return {name: view(of, v[k]) for k, (name, of) in enumerate(fields) if k in v}
    if type(v) is bytes:
        return f"h'{v.hex()}'"
    return v if type(v) in (bool, str) else str(v)
