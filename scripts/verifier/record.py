"""The grid record by docs/spec/record.md: `hold` and `read` are its two readings, `time_fault` its times."""

import csv
import ipaddress
import pathlib
import re

from .signed_objects import Refused, decoded, identity, need, opened, strict, verify_object

DAY, SKEW, LATEST = 86_400, 7_200, 253_402_207_200
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = rf"(?:{LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)\Z){LABEL}"
FURL = r"pb://[a-z2-7]{32}@(?P<hints>[!-.0-~]+)/[!-~]+(?<!#v=1)"
CONTACT = "(?:mailto|https|xmpp|matrix|tel):[!#-;=?-~]+"
UNSEEN = "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
NAME, TRANSPORT = rb"(?P<size%d>.)(?P<name%d>[a-z0-9.-]+)", rb"(?:\x06%b|\x91\x02%b\xcd\x03)" % ((rb"(?!\0\0)..",) * 2)
ADDRESS = rb"(?s)(?:\x04.{4}|\x29.{16}|[\x35-\x37]" + NAME % (1, 1) + rb")" + TRANSPORT + rb"|\x38" + NAME % (2, 2)
with open(pathlib.Path(__file__).parents[2] / "docs/spec/assets.csv", encoding="ascii") as lines:
    SCALES = {line["asset"]: int(line["scale"]) for line in csv.DictReader(lines)}


# What a value must be: functions of the value. They raise where the class of the fault is not `field`.


def uint(low=0, high=2**64 - 1):
    return lambda v: type(v) is int and low <= v <= high


def text(most, form):
    return lambda v: type(v) is str and len(v.encode()) <= most and re.fullmatch(form, v) is not None


def array(most, right):
    return lambda v: type(v) is list and 0 < len(v) <= most and all(map(right, v))


def shape(place, value, right, mandatory=()):
    need(type(value) is dict and all(k in value for k in mandatory), f"{place}: keys {list(mandatory)} are mandatory")
    for k in value:
        need(k in right or k >= 64, f"{place}: key {k} is unknown", "upgrade")
    return all(need(right[k](v), f"{place}: key {k}") for k, v in value.items() if k in right)


def hash32(v):
    return type(v) is bytes and len(v) == 32


def key(v):
    return hash32(v) and need(strict(v), v.hex(), "key")


def asset(v):
    return text(5, "[A-Z]{3,5}")(v) and need(v in SCALES, v, "upgrade")


def nickname(v):
    return text(64, "(?s).+")(v) and not re.search(UNSEEN, v) and v == v.strip()


def limit(v):
    return shape("limit", v, {0: asset, 1: amount}, (0, 1))


def host(v):
    return text(128, HOST)(v) or type(v) is bytes and len(v) in (4, 16) and v[:12] != bytes(10) + b"\xff\xff"


def roles(v):
    return uint()(v) and need(v < 16, "an unknown role", "upgrade") and v > 1


def place(text):
    name, colon, port = text.rpartition(":")
    bracketed = re.fullmatch(r"\[([0-9a-f:]+)\]", name)
    try:
        ip = str(ipaddress.ip_address(bracketed[1] if bracketed else name)) == name.strip("[]")
    except ValueError:
        ip = False
    known = ip if bracketed else ip and ":" not in name or re.fullmatch(HOST, name)
    return bool(known) and re.fullmatch("[1-9][0-9]{0,4}", port) is not None and int(port) < 65_536


def furl(v):
    found = re.fullmatch(FURL, v) if text(256, "(?s).*")(v) else None
    hints = [hint.partition(":") for hint in found["hints"].split(",")] if found else []
    other = "[0-9A-Za-z.:_=\\[\\]-]+"
    return bool(hints) and all(
        place(where) if kind == "tcp" else re.fullmatch("[a-z0-9]+", kind) and re.fullmatch(other, where)
        for kind, _, where in hints
    )


def gateway(v):
    shape("gateway", v, {0: host, 1: uint(1, 65_535), 2: hash32, 3: key, 4: roles, 5: limit, 6: furl})
    role, parts, keyed = v.get(4, 1), len(part(v, 0, 3)), 3 in v
    addressed = parts == (0 if 6 in v else 3)
    may_be_silent = parts == 0 and not role & 9
    return (addressed or may_be_silent) and (keyed or not role & 6) and (5 not in v or role & 6)


def rate(v, issued, expires):
    def price(p):
        return amount(p) and (p == 0 or v.get(0) != "XXX")

    def following(n):
        return shape("next price", n, {0: price, 1: when}, (0, 1))

    shape("rate", v, {0: asset, 1: price, 2: when, 3: when, 4: following}, (0, 1))
    begin, end, after = v.get(2, issued), v.get(3, expires), v.get(4)
    plain = v.get(2) != issued and v.get(3) != expires and issued < end <= issued + 400 * DAY
    ordered = 3 not in v or begin <= end
    return plain and ordered and (not after or begin < after[1] and (after[0] <= v[1] or end <= after[1]))


def address(v):
    found = re.fullmatch(ADDRESS, v) if type(v) is bytes and len(v) <= 128 else None
    named = [(found[f"size{n}"], found[f"name{n}"]) for n in (1, 2)] if found else []
    return bool(named) and all(n is None or ord(size) == len(n) and text(128, HOST)(n.decode()) for size, n in named)


def peer_id(v):
    return type(v) is bytes and 2 <= len(v) <= 42 and len(v) == 2 + v[1] and (v[0] == 0 or v[:2] == b"\x12\x20")


def node(v):
    return shape("node", v, {0: peer_id, 1: array(2, address)}, (0, 1)) and distinct(v[1])


when, amount = uint(1, LATEST), uint(0, 2**63 - 1)


def part(v, low, high=2**64):
    return {k: v[k] for k in v if low <= k < high}


def distinct(items):
    return all(item not in items[:at] for at, item in enumerate(items))


# The two readings.


def permission(data, grid):
    """The map of a delegation, as far as a holder looks at it."""
    try:
        payload, signature = opened(data)
        d, first = decoded(payload), {0: uint(1), 1: when, 2: key, 3: when}
        need(type(d) is dict, "payload is no map")
        shape("delegation", part(d, 0, 4), first, first)
        need(d[2] != grid and 0 < d[3] - d[1] <= 400 * DAY, "publisher or not_after")
        verify_object("delegation/1", grid, payload, signature)
    except Refused as fault:
        raise Refused("delegation", ", ".join(fault.args)) from None
    return d


def hold(data, grid):
    """A holder's reading: keys 0 to 5 and the signatures. Returns the map, the delegation's, and a summary."""
    need(data, "no bytes", "empty")
    need(len(data) <= 995, f"{len(data)} octets", "too-big")
    payload, signature = opened(data)
    r, d, boolean = decoded(payload), None, lambda v: type(v) is bool
    need(type(r) is dict, "payload is no map")
    first = {0: uint(1), 1: uint(), 2: when, 3: when, 4: boolean, 5: lambda v: type(v) is bytes or when(v)}
    shape("record", part(r, 0, 6), first, first)
    lasting, serial, signer = r[4] or 14 in r, r[5], grid
    need(r[1] // 1000 == r[2], "sequence")
    need(0 < r[3] - r[2] <= (3660 if lasting else 30) * DAY, "lifetime")
    need(type(serial) is int or not lasting and 13 not in r, "more than a publisher may say", "delegation")
    need(not lasting or len(data) <= 256, f"{len(data)} octets of a record that may live for years", "too-big")
    if type(serial) is bytes:
        d = permission(serial, grid)
        serial, signer = d[1], d[2]
        need(r[2] >= serial - SKEW and r[3] <= d[3], "outside the time of its delegation", "delegation")
    verify_object("record/1", signer, payload, signature)
    summary = {"serial": serial, "publisher": signer if d else None, "rank": (r[4], serial, r[1], payload)}
    return r, d, summary | {"identity": identity("record/1", grid, payload)}


def read(r, d, grid):
    """What a reader demands beyond that: every field understood."""
    need(r[0] == 1 and (d is None or d[0] == 1), "a later format", "upgrade")
    known = {6: nickname, 7: array(4, text(128, CONTACT)), 8: array(4, gateway), 10: array(4, node), 11: array(2, key)}
    known |= {9: array(4, lambda v: rate(v, r[2], r[3])), 12: hash32, 13: hash32, 14: key, 15: key, 16: uint()}
    shape("record", part(r, 6), known)
    gateways, rates = [part(v, 0, 64) for v in r.get(8, [])], r.get(9, [])
    assets, peers = [v[0] for v in rates], [v[0] for v in r.get(10, [])]
    lists = r.get(7, []), gateways, peers, r.get(11, [])
    need(all(map(distinct, lists)), "contact, gateways, nodes or clearing: twice the same")
    need(assets == sorted(set(assets)), "rates: not ascending")
    need(grid not in (r.get(14), r.get(15)), "its own successor or predecessor")
    need(not r[4] or not {*range(6, 12), 14, 15} & set(r), "a withdrawn record says no more")
    if d is not None:
        try:
            shape("delegation", part(d, 4), {4: hash32, 5: limit, 6: when})
        except Refused as fault:
            raise Refused({"upgrade": "upgrade"}.get(fault.args[0], "delegation"), fault.args[1]) from None
        most = d.get(5, {0: None})
        within = all(v[5][0] == most[0] and v[5][1] <= most[1] for v in gateways if 5 in v)
        need(within, "a limit above max_limit", "delegation")
        need(all(v.get(3, r[3]) <= d.get(6, d[3]) for v in rates), "committed_until too late", "delegation")


def time_fault(r, serial, now):
    """Raises what `now` has against a record that is right in itself."""
    need(r[3] > now, f"expired at {r[3]}", "time-expired")
    need(r[2] <= now + SKEW, f"issued at {r[2]}", "time-future")
    need(serial <= now + SKEW, f"serial {serial}", "time-future")


# Between records.


def newer(a, b):
    """Which of two summaries is that of the newer record."""
    return "same" if a["identity"] == b["identity"] else "a" if a["rank"] > b["rank"] else "b"


def commitments(r):
    """Asset, price, from, until of every rate line of a record that a reader accepts."""
    return [(v[0], v[1], v.get(2, r[2]), v.get(3, r[3])) for v in r.get(9, [])]


def broken(older, newer):
    """The assets in which a newer record breaks a commitment of an older one."""
    since, given = max(older[2], newer[2]), commitments(newer)

    def kept(asset, price, begin, end):
        return any(a == asset and p <= price and b <= max(begin, since) and e >= end for a, p, b, e in given)

    live = [promise for promise in commitments(older) if promise[2] < promise[3] and since < promise[3]]
    return [] if newer[4] else [promise[0] for promise in live if not kept(*promise)]


def binding(records, asset, now):
    """The price that binds: the first record is the current one, the others are evidence."""
    given = [r for r in records if r[2] <= now + SKEW]
    found = [(a, p) for r in given for a, p, begin, end in commitments(r) if begin <= now < end]
    for v in records[0].get(9, []) if records[0][3] > now else []:
        if v.get(2, records[0][2]) <= now:
            found.append((v[0], v[4][0] if 4 in v and v[4][1] <= now else v[1]))
    return min((p for a, p in found if a in (asset, "XXX")), default=None)
