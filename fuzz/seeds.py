#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets, from the test vectors and by hand: seeds.py FOLDER.

Each target gets a folder FOLDER/<target>, each seed a file named by its SHA-1. Needs nothing but Python.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "tests" / "vectors"
HEAD = bytes.fromhex("8443a10127a0")  # of every envelope


def head(major, value):
    for size, short in ((0, 24), (1, 1 << 8), (2, 1 << 16), (4, 1 << 32), (8, 1 << 64)):
        if value < short:
            break
    if size == 0:
        return bytes([major << 5 | value])
    return bytes([major << 5 | 23 + size.bit_length()]) + value.to_bytes(size, "big")


def cbor(item):
    """Deterministic CBOR of what messages are made of."""
    if isinstance(item, bool):
        return bytes([0xF5 if item else 0xF4])
    if isinstance(item, int):
        return head(0, item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        return head(3, len(item.encode())) + item.encode()
    if isinstance(item, list):
        return head(4, len(item)) + b"".join(map(cbor, item))
    return head(5, len(item)) + b"".join(cbor(key) + cbor(item[key]) for key in sorted(item))


def vectors():
    for path in sorted(VECTORS.glob("*/*.json")):
        document = json.loads(path.read_text())
        for vector in document["vectors"]:
            yield document["kind"], vector


def payload(envelope):
    """What is in an envelope of the right form; the bytes as they are otherwise."""
    length = {0x58: 1, 0x59: 2}.get(envelope[6] if len(envelope) > 6 else 0)
    if not envelope.startswith(HEAD) or length is None or envelope[-66:-64] != b"\x58\x40":
        return envelope
    return envelope[7 + length : -66]


def records():
    """Payloads, since the target signs them; the forms that are no envelopes as they are."""
    for kind, vector in vectors():
        for name in ("bytes_hex", "a_hex", "b_hex", "older_hex", "newer_hex"):
            if kind in ("record", "supersede", "commitment") and name in vector:
                yield payload(bytes.fromhex(vector[name]))
        for text in vector.get("records_hex", []):
            yield payload(bytes.fromhex(text))


def callers():
    """Payloads of claims and memberships; their signers differ, so that the target's keys stand in the place of theirs."""
    keys = {vector["name"]: bytes.fromhex(vector["public_key_hex"]) for kind, vector in vectors() if kind == "key"}
    for kind, vector in vectors():
        if kind in ("session", "membership"):
            data = payload(bytes.fromhex(vector["bytes_hex"]))
            yield data
            if kind == "session":
                # Key 4 with the grid key, which signs there.
                at = data.find(b"\x04\x58\x20")
                if at > 0:
                    yield data[: at + 3] + keys["grid"] + data[at + 35 :]


def money():
    """Payloads of the objects of money; the keys of the target stand in the place of those that sign."""
    keys = {vector["name"]: bytes.fromhex(vector["public_key_hex"]) for kind, vector in vectors() if kind == "key"}
    for kind, vector in vectors():
        if kind != "money":
            continue
        data = bytes.fromhex(vector["bytes_hex"])
        if vector["form"] == "both":
            data = payload(data[:-64])
            # The payer's key, and the payee's, behind keys 1 and 3.
            for key, name in ((1, "grid"), (3, "publisher")):
                at = data.find(bytes([key, 0x58, 0x20]))
                data = data[: at + 3] + keys[name] + data[at + 35 :] if at > 0 else data
            yield data
        else:
            data = payload(data)
            yield data
            if vector["form"] == "one" and data.find(b"\x01\x58\x20") > 0:
                at = data.find(b"\x01\x58\x20")
                yield data[: at + 3] + keys["grid"] + data[at + 35 :]


def bundles():
    """Bundles of payloads, which the target signs: the publisher pays the grid, at a price that a deck gives."""
    keys = {vector["name"]: bytes.fromhex(vector["public_key_hex"]) for kind, vector in vectors() if kind == "key"}
    grid, publisher, time = keys["grid"], keys["publisher"], 1_800_000_000
    deck = {0: grid, 1: grid, 2: 1, 5: "USD", 6: 20_000_000, 7: time, 8: time + 86_400}
    terms = {
        0: publisher, 1: publisher, 2: grid, 3: grid, 5: "USD", 6: 10**10, 7: 1 << 26, 8: 86_400, 9: 86_400, 10: time, 11: time + 86_400, 12: bytes(16),
    }
    named = lambda kind, owner, item: hashlib.sha256(kind + b"\0" + owner + cbor(item)).digest()  # noqa: E731
    free = {
        0: publisher, 1: publisher, 2: grid, 3: grid, 5: "XXX", 6: 0, 11: bytes(16), 12: bytes(16), 13: grid, 14: publisher, 15: bytes(16),
        16: bytes(16), 17: bytes(32), 18: time, 19: time + 3_600,
    }
    priced = free | {5: "USD", 6: 20_000_000, 7: named(b"deck/1", grid, deck), 8: named(b"terms/1", b"", terms)}
    paper = lambda kind, item: {0: kind, 1: grid, 2: cbor(item)}  # noqa: E731
    papers = [paper("terms/1", terms), paper("deck/1", deck)]
    lane = lambda item, octets: {  # noqa: E731
        0: cbor(item), 1: cbor({0: bytes(32), 1: octets, 2: -(-octets * item[6] // 2**30), 3: time, 4: bytes(32)}),
    }
    yield cbor({0: 1})
    yield cbor({0: 1, 1: papers})
    yield cbor({0: 1, 2: [lane(free, 5)]})
    yield cbor({0: 1, 1: papers, 2: [lane(priced, 1 << 30)]})
    yield cbor({0: 1, 1: papers, 2: [lane(priced, 3), lane(priced | {15: bytes([1] * 16)}, 1 << 40)]})
    yield cbor({0: 1, 1: papers[:1], 2: [lane(priced, 3)]})
    yield cbor({0: 1, 1: papers, 2: [lane(priced | {18: time - 1}, 3)]})
    yield cbor({0: 2, 64: "later"})
    for kind, vector in vectors():
        if kind == "record" and vector["reader"] == "ok" and "rates" in vector["reader_view"]:
            yield cbor({0: 1, 1: [{0: "record/1", 1: grid, 2: payload(bytes.fromhex(vector["bytes_hex"]))}]})


def statements():
    """A statement and two positions, as payloads that the target signs; and what is missing or too much."""
    keys = sorted(bytes.fromhex(vector["public_key_hex"]) for kind, vector in vectors() if kind == "key")[:2]
    grid = {vector["name"]: bytes.fromhex(vector["public_key_hex"]) for kind, vector in vectors() if kind == "key"}["grid"]
    time = 1_800_000_000
    line = lambda lane: {0: bytes([lane] * 32), 1: 0, 2: 0, 3: 1, 4: 0, 5: 10}  # noqa: E731
    position = lambda number, charged, at: {  # noqa: E731
        0: grid, 1: grid, 2: keys[0], 3: keys[1], 4: "USD", 5: number, **({6: bytes(32)} if number > 1 else {}), 7: at, 8: [line(number)],
        10: charged, 11: 0, 12: 0, 13: 0,
    }
    statement = {
        0: grid, 1: grid, 2: keys[1], 3: keys[0], 4: "USD", 5: time, 6: time + 9, 8: 10, 9: 10, 10: 0, 11: 0, 12: 0, 13: 20,
    }
    first, second = cbor(position(1, 10, time - 1)), cbor(position(2, 20, time + 1))
    yield cbor({0: 1, 1: cbor(statement)})
    yield cbor({0: 1, 1: cbor(statement), 2: [first, second]})
    yield cbor({0: 1, 1: cbor(statement), 2: [second]})
    yield cbor({0: 1, 1: cbor(statement), 2: [second, first]})
    yield cbor({0: 1, 1: cbor(statement), 2: [first, cbor(position(2, 20, time - 2))]})
    yield cbor({0: 2, 1: cbor(statement), 64: "later"})


def nettings():
    """Three grids in a circle, a pair, faults in them; and drawn debts."""
    keys = sorted(bytes.fromhex(vector["public_key_hex"]) for kind, vector in vectors() if kind == "key")[:3]
    circle = {0: keys[0], 1: "USD", 2: keys, 3: [[0, 1, 10], [1, 2, 10], [2, 0, 7]], 4: [[0, 2, 3]]}
    yield cbor(circle)
    yield cbor(circle | {3: [[0, 1, 10], [1, 2, 10], [2, 0, 10]]} | {4: []})[:-2]
    yield cbor({key: value for key, value in (circle | {3: [[0, 1, 10], [1, 2, 10], [2, 0, 10]]}).items() if key < 4})
    yield cbor(circle | {4: [[0, 2, 4]]})
    yield cbor(circle | {3: [[0, 1, 10], [1, 3, 10]]})
    yield cbor(circle | {1: "QQQ"})
    yield cbor(circle | {5: 1})
    yield bytes(range(64))
    yield bytes((0, 1, 255, 54, 1, 2, 255, 54, 2, 0, 200, 54, 3, 4, 1, 0, 4, 3, 2, 0))


def policies():
    example = (ROOT / "src" / "policy" / "example.toml").read_bytes()
    yield b"\n".join(line for line in example.splitlines() if line and not line.startswith(b"#"))
    rule = b'[[rule]]\nname = "a"\naction = "%s"\n'
    yield from (rule % action for action in (b"allow", b"deny", b"ask", b"maybe"))
    for line in (
        b'grids = ["nobody"]', b'up-to = ["0.05 USD/GiB", "free"]', b'client-quota = ["1 GiB/day", "0 B/month"]', b'assets = ["BTC"]',
        b'grid-ceiling = ["5 USD/day"]', b'clients = ["Ada"]\ngroups = ["students"]', b'message = "no"', b'colour = "red"',
    ):
        yield rule % b"allow" + line
    retail = b'[retail]\nasset = "EUR"\nmarkup = "%s"\n[retail.conversions]\nUSD = "%s"\n'
    yield from (retail % pair for pair in ((b"5 %", b"0.92"), (b"10000%", b"999999999999.999999999999"), (b"x", b"1"), (b"0 %", b"1,5")))


def whole_records(count):
    found = [bytes.fromhex(v["bytes_hex"]) for kind, v in vectors() if kind == "record" and v["reader"] == "ok"]
    return found[:count]


def delegations():
    for _, vector in vectors():
        for value in vector.values():
            data = bytes.fromhex(value) if isinstance(value, str) and re.fullmatch("(?:[0-9a-f]{2})+", value) else b""
            # An envelope within the payload of another: key 5, a byte string.
            inner = data.find(HEAD, 1)
            if inner > 0:
                found = payload(delimited(data, inner))
                yield found
                # The format, 1, in a longer form than it needs.
                yield found.replace(b"\x00\x01\x01", b"\x00\x18\x01\x01", 1)


def delimited(data, start):
    """The bytes from `start` on, to the end that the byte string's head before them gives."""
    for size, mark in ((1, 0x58), (2, 0x59)):
        if start > size and data[start - size - 1] == mark:
            return data[start : start + int.from_bytes(data[start - size : start], "big")]
    return data[start:]


def messages():
    grids = sorted({bytes.fromhex(v["public_key_hex"]) for kind, v in vectors() if kind == "key"})
    small, big = whole_records(2)
    peer = bytes.fromhex("0024080112200123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
    rsa = bytes.fromhex("1220") + bytes(range(32))
    quic = bytes.fromhex("047f010201" "91020fa0" "cd03")
    tcp = bytes.fromhex("0420010db8"[:2] + "c6336403" "060fa0")
    name = bytes.fromhex("35") + bytes([11]) + b"example.org" + bytes.fromhex("060fa0")
    servers = [{0: peer, 1: [quic, tcp]}, {0: rsa, 1: [name]}, {0: peer, 1: [b"\xff\xff\x7f"]}]
    questions = [
        {0: 0, 1: grids[0]}, {0: 1, 1: grids[0], 2: small}, {0: 1, 1: grids[1], 2: bytes(1507)}, {0: 2},
        {0: 2, 3: peer}, {0: 2, 3: rsa}, {0: 3}, {0: 4, 4: 0}, {0: 4, 4: 255, 5: grids[0]}, {0: 5, 6: grids[:1]},
        {0: 5, 6: (grids * 16)[:16]}, {0: 77, 99: "new"}, {0: 0, 1: bytes(32)}, {}, {0: 0},
    ]
    time = {1: 1_800_000_000}
    answers = [
        {0: 0}, {0: 0, 2: small}, {0: 0, 2: big, 3: [small, big], 4: servers}, {0: 0, 4: servers[:1]},
        *({0: 1, 5: code} for code in range(8)), {0: 1, 2: big, 5: 2}, {0: 2, 6: False}, {0: 2, 4: servers, 6: True},
        {0: 3, 7: bytes(2048)}, {0: 3, 7: bytes(2047)}, {0: 4, 6: False, 8: b""}, {0: 4, 6: True, 8: bytes(48 * 3)},
        {0: 4, 6: False, 8: bytes(47)}, {0: 5}, {0: 5, 9: [{0: grids[0], 1: small, 2: [big]}, {0: grids[1]}]},
        {0: 255}, {0: 6, 99: [1]},
    ]
    yield from map(cbor, questions)
    yield from (cbor(answer | time) for answer in answers)
    yield from (cbor(answer | {1: 0}) for answer in answers[:3])
    yield bytes.fromhex("bf0000ff")  # of indefinite length


GRID = "pub-v0-eaewbdd64et6zsojc4qrpri7smpjeffnuyusu6g2nzzhi2ujz3mq"
KEY, HASH = "44wphqinesnggifna54n6ccwke", "gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q"
RESTS = [
    "LIT:krugkidfnzsc4", "LIT:", "DIR2-LIT:krugkidfnzsc4", f"CHK:{KEY}:{HASH}:2:3:1000000",
    f"CHK:{KEY}:{HASH}:1:256:18446744073709551615", f"DIR2-CHK:{KEY}:{HASH}:3:10:0",
    *(f"{kind}Verifier:{KEY}:{HASH}:2:3:1000000" for kind in ("CHK-", "DIR2-CHK-")),
    *(f"{kind}:{KEY}:{HASH}" for kind in ("SSK-RO", "DIR2-RO", "MDMF-RO", "DIR2-MDMF-RO")),
    *(f"{kind}:{KEY}:{HASH}:3:131073" for kind in ("MDMF-RO", "DIR2-MDMF-RO", "MDMF-Verifier", "MDMF")),
    *(f"{kind}Verifier:{KEY}:{HASH}" for kind in ("SSK-", "DIR2-", "MDMF-", "DIR2-MDMF-")),
    *(f"{kind}:{KEY}:{HASH}" for kind in ("SSK", "DIR2", "MDMF", "DIR2-MDMF")),
]


def caps():
    for rest in RESTS:
        yield f"URI:{rest}"
        yield f"URI:FOREIGN:{GRID}:{rest}"
    for area in ("*", "+49", "+49-mzxw6ytb", "+123456789012345-" + HASH):
        yield f"URI:FOREIGN:{area}:{RESTS[3]}"
    yield f"imm.URI:FOREIGN:{GRID}:{RESTS[3]}"
    yield f"ro.URI:FOREIGN:{GRID}:{RESTS[8]}"
    yield f"imm.URI:FOREIGN:{GRID}:{RESTS[8]}"
    yield GRID
    yield "URI:LIT:" + "a" * 6560


PIN, TUB, SECRET = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk", "bmkwj5qbxzvgf3hdcpl5wyp5ti6ueqsb", "hbqzvb2sdpnqvuib"


def furls():
    hosts = ["gw.example.org:4101", "192.0.2.17:1", "[2001:db8::7]:65535", "[::ffff:192.0.2.1]:80", "localhost:4101"]
    for host in hosts:
        yield f"pb://{PIN}@{host}/gateway#v=1"
        yield f"pb://{TUB}@tcp:{host},tcp:192.0.2.2:4100/gateway"
    yield f"pb://{PIN}@{hosts[0]}/{SECRET}#v=1"
    yield f"pb+tor://{PIN}@{'a' * 56}.onion:80/gateway#v=1"
    yield f"pb+tor://{PIN}@{'a' * 56}.onion:80/{SECRET}#v=1"
    yield f"pb://{TUB}@/{SECRET}"
    yield f"pb://{TUB}@tor:abc.onion:80,i2p:abc.i2p/{SECRET}"
    nurl = f"pb://{PIN}@{hosts[0]}/gateway#v=1"
    for parts in (f"key={GRID}", f"key={GRID},roles=serve", f"key={GRID},roles=serve+spend+terms+locator,limit=10 USD"):
        yield f"{nurl},{parts}"
        yield parts
    yield f"pb://{TUB}@tcp:192.0.2.1:4100/gateway,key={GRID},roles=spend,limit=0.5 BTC"


RATES = [
    "free", "free until 2027-06-01", "0.02 USD/GiB until 2027-06-01", "1 JPY/GiB then 2 from 2027-06-01T12:30:00Z",
    "0.02 EUR/GiB from 2027-01-01 until 2027-06-01 then 0.03 from 2027-06-01", "0.00000000001 BTC/GiB", "0 XXX/GiB",
]
PEER = "12D3KooWGRUVh3BJSF5i7tHQ8fCQiRyK6HFiE4pmRGYCWGNsVdVE"


def configs():
    # The commented file that `init` writes, its examples uncommented too.
    values = {
        "grid-id": GRID, "grid-manager": "grid-manager", "nickname": "Grid of the Møller family", "lifetime": "7 days",
        "contact": ["mailto:grid@example.org", "https://example.org/grid"], "gateway": list(furls())[-2:-1],
        "rate": RATES[2:3], "clearing": [GRID], "next": GRID, "successor": GRID, "predecessor": GRID, "network": "main",
        "listen": "0.0.0.0:25519", "external": "node.example.org:25519", "allow-private-addresses": True,
        "bootstrap": [f"/dns/node.example.org/udp/25519/quic-v1/p2p/{PEER}"], "whole-network-limit": 200,
        "trusted-peers": [PEER], "api": "127.0.0.1:0",
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()]
    yield "".join(lines)
    yield from lines
    yield from (f"rate = {json.dumps([rate])}\n" for rate in RATES)
    record = whole_records(1)[0]
    import base64

    signed = base64.b64encode(record).decode()
    draft = {
        "withdrawn": False, "lifetime_seconds": 259200, "nickname": "a 'name' \\ \"quoted\"", "contact": ["tel:+4930"],
        "rates": RATES[1:3], "clearing": [GRID], "next_key_digest": "ab" * 32, "successor": GRID, "predecessor": GRID,
    }
    entries = [f"{key} = {json.dumps(value)}\n" for key, value in draft.items()]
    grid = f'grid = "{GRID}"\n'
    gateway = f'[[gateways]]\naddress = "pb://{PIN}@192.0.2.17:4443/gateway#v=1"\n'
    acts = f'key = "{GRID}"\nroles = "serve+spend"\nlimit = "50 USD"\n'
    node = f'[[nodes]]\npeer_id = "{PEER}"\naddrs = ["/ip4/192.0.2.17/udp/4100/quic-v1", "/dns/example.org/tcp/4100"]\n'
    earlier = f'[earlier]\nprevious = "{signed}"\nevidence = ["{signed}"]\n'
    yield grid
    yield grid + "withdrawn = true\n"
    yield from (grid + entry for entry in entries)
    yield from (grid + part for part in (gateway, gateway + acts, "[[gateways]]\n" + acts, node, earlier))
    yield grid + "".join(entries) + gateway + acts + node + earlier
    # Values by themselves.
    yield from RATES
    yield from ["10 USD", "0.5 BTC", "0 JPY", "serve+spend", "serve+spend+terms+locator", GRID, "ab" * 32, "main"]
    yield from ["2027-06-01", "2027-06-01T12:00:00Z", "2027-06-01T02:00:00.5+02:00", "9999-12-30T22:00:00Z"]
    yield from ["50ms", "1 min 30 s", "7 days", "2h", "15min", "0 s", "0.000000001", "9223372036.854775807"]
    yield from ["node.example.org", "node.example.org:4100", "[2001:db8::7]:4100", "2001:db8::7", "192.0.2.1:80"]
    yield from ["mailto:a@example.org", "tel:+4930", "https://example.org/x", "Grid of the Møller family"]
    identity, seen = "12" * 32, "seen_at=1800000000"
    for withdrawn, following in (("false", "-"), ("true", "ab" * 32)):
        words = f"withdrawn={withdrawn} serial=1800000000 sequence=1800000000000 identity={identity} next={following}"
        yield f"grid={GRID} {words} contested={withdrawn} {seen}"
    yield from list(furls())[:20]


def tagged(tag, *values):
    whole = b"%d:%s," % (len(tag), tag) + b"".join(values)
    return hashlib.sha256(hashlib.sha256(whole).digest()).digest()


def netstring(value):
    return b"%d:%s," % (len(value), value)


def tree_of(leaves):
    """A hash tree over these leaves, the root first."""
    level = list(leaves)
    while len(level) & len(level) - 1:
        level.append(tagged(b"Merkle tree empty leaf", b"%d" % len(level)))
    tree = level
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2])
        level = [tagged(b"Merkle tree internal node", netstring(a), netstring(b)) for a, b in pairs]
        tree = level + tree
    return tree


def blocks():
    """Of the erasure code: k, N less one, the length of a block, then blocks with their numbers."""
    for needed, total, length, numbers in (
        (1, 1, 4, [0]), (1, 3, 4, [2]), (2, 3, 5, [2, 0]), (2, 3, 5, [1, 0]), (2, 3, 0, [2, 1]), (3, 10, 40, [9, 1, 7]),
        (3, 10, 4, [9, 9, 7]), (3, 10, 4, [9, 8, 10]), (3, 10, 4, [9, 8]), (5, 256, 33, [255, 4, 0, 100, 17]),
    ):
        made = b"".join(number.to_bytes(2, "big") + bytes((number * 7 + i) % 256 for i in range(length)) for number in numbers)
        yield bytes([needed, total - 1, length]) + made


def files():
    """What the cap of an immutable file says, its URI extension block, its one share and the hashes of its segments.

    k and N are 1: the block of a segment is the segment itself, and the share hash chain the root of the block tree.
    """
    for size, segment, version in ((1, 1, 1), (40, 40, 1), (40, 40, 2), (100, 30, 1), (100, 30, 2)):
        content = bytes(i * 7 % 256 for i in range(size))
        cut = [content[i : i + segment] for i in range(0, size, segment)]
        trees = []
        for tag in (b"allmydata_crypttext_segment_v1", b"allmydata_encoded_subshare_v1"):
            trees.append(tree_of(tagged(tag, part) for part in cut))
        params = b"%d-1-1" % segment
        fields = {
            b"codec_name": b"crs", b"codec_params": params, b"crypttext_hash": tagged(b"allmydata_crypttext_v1", content),
            b"crypttext_root_hash": trees[0][0], b"needed_shares": b"1", b"num_segments": b"%d" % len(cut),
            b"segment_size": b"%d" % segment, b"share_root_hash": trees[1][0], b"size": b"%d" % size,
            b"tail_codec_params": b"%d-1-1" % len(cut[-1]), b"total_shares": b"1",
        }
        ueb = b"".join(key + b":" + netstring(fields[key]) for key in sorted(fields))
        word = 4 * version
        place = 4 + 8 * word
        words = [segment, size]
        sections = [content, bytes(32 * len(trees[0])), *(b"".join(tree) for tree in trees), bytes(2) + trees[1][0]]
        for section in sections:
            words.append(place)
            place += len(section)
        words.append(place)
        header = version.to_bytes(4, "big") + b"".join(number.to_bytes(word, "big") for number in words)
        share = header + b"".join(sections) + len(ueb).to_bytes(word, "big") + ueb
        yield bytes([0, 1, 0, 1]) + size.to_bytes(8, "big"), ueb, share, trees[0][-len(trees[0]) // 2 :], len(cut)


def shares():
    for cap, _, share, _, _ in files():
        yield cap + share


def manifests():
    for cap, ueb, _, leaves, count in files():
        # All segments: what is beside them is padding, of which these files have one leaf at most.
        beside = b"".join(leaves[count:])
        yield cap + cbor({0: 1, 1: ueb, 2: 0, 3: b"".join(leaves[:count]), 4: beside})


def mutables():
    """Shares of mutable files, and manifests of them. k and N are 1: the root over all shares is that of the one block tree."""
    key, signature = bytes(range(1, 40)), bytes(range(40, 72))
    block_tag = b"allmydata_mutable_block_v1"
    for size, segment in ((0, 0), (5, 5), (40, 40)):
        salt, content = bytes(range(16)), bytes(i * 7 % 256 for i in range(size))
        leaves = [tagged(block_tag, content)] if size else []
        tree = tree_of(leaves)
        root = tree[0] if tree else bytes(32)
        prefix = b"\0" + (9).to_bytes(8, "big") + root + salt + bytes([1, 1]) + segment.to_bytes(8, "big") + size.to_bytes(8, "big")
        places, at = [], len(prefix) + 4 * 4 + 2 * 8
        sections = [key, signature, b"", b"".join(tree), content, b"private"]
        for section in sections:
            at += len(section)
            places.append(at)
        offsets = b"".join(place.to_bytes(4, "big") for place in places[:4]) + b"".join(place.to_bytes(8, "big") for place in places[4:])
        yield prefix + offsets + b"".join(sections)
        pinned = {0: 0, 1: b"", 2: b"".join(leaves), 3: b""}
        yield cbor({0: 2, 1: prefix, 2: signature, 3: key, 4: [pinned]})
    for size, segment in ((0, 10), (9, 10), (35, 10)):
        content = bytes(i * 5 % 256 for i in range(size))
        cut = [(bytes([i] * 16), content[i : i + segment]) for i in range(0, size, segment)]
        leaves = [tagged(block_tag, salt + part) for salt, part in cut]
        tree = tree_of(leaves)
        root = tree[0] if tree else bytes(32)
        prefix = b"\1" + (9).to_bytes(8, "big") + root + bytes([1, 1]) + segment.to_bytes(8, "big") + size.to_bytes(8, "big")
        sections = [b"private", b"", signature, key, b"".join(salt + part for salt, part in cut), b"".join(tree)]
        places, at = [], len(prefix) + 8 * 8
        for section in sections:
            places.append(at)
            at += len(section)
        private_key, chain, signed, public_key, blocks, block_tree = places
        offsets = [private_key, chain, signed, public_key, blocks, blocks, block_tree, at]
        yield prefix + b"".join(place.to_bytes(8, "big") for place in offsets) + b"".join(sections)
        pinned = {0: 0, 1: b"", 2: b"".join(leaves), 3: b"".join(tree[-len(tree) // 2 :][len(leaves) :])}
        salts = b"".join(salt for salt, _ in cut)
        yield cbor({0: 3, 1: prefix, 2: signature, 3: key, 4: [pinned], 5: 0, 6: salts})


def directories():
    """Lists of children: names, caps of each kind with and without their marks, metadata."""

    def entry(name, cap, more=b"", metadata=b"{}"):
        return netstring(netstring(name.encode()) + netstring(cap.encode()) + netstring(more) + netstring(metadata))

    foreign = f"URI:FOREIGN:{GRID}:"
    yield b""
    yield entry("a.txt", f"URI:{RESTS[3]}")
    yield entry("Gr\u00fc\u00dfe", f"imm.{foreign}{RESTS[3]}", metadata=b'{"tahoe":{"linkcrtime":1.5,"linkmotime":1700000000.5}}')
    yield entry("written", f"ro.URI:{RESTS[8]}", more=bytes(16 + 30 + 32))
    yield b"".join(entry(f"child {number}", f"URI:{rest}") for number, rest in enumerate(RESTS))
    yield b"".join(entry(f"ro {number}", f"ro.{foreign}{rest}") for number, rest in enumerate(RESTS))
    yield entry("../up", "URI:NEW:x", metadata=b"[" * 200 + b"]" * 200) + entry("..", "")
    yield entry("twice", f"URI:{RESTS[0]}") + entry("twice", f"URI:{RESTS[1]}")
    yield entry("x", f"URI:{RESTS[3]}")[:-1]


SERVER = "v0-" + "a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq"
CERTIFICATE = f'{{"expires":"2027-11-23T05:45:55.830018+00:00","public_key":"pub-{SERVER}","version":1}}'


def server_lists():
    nurls = [f"pb://{PIN}@127.0.0.1:7110/{SECRET}{SECRET}#v=1", f"pb+tor://{PIN}@{'a' * 56}.onion:80/{SECRET}#v=1"]
    ann = {
        "nickname": "storage0", "seqnum": 3, "service-name": "storage", "version": 0, "anonymous-storage-NURLs": nurls,
        "anonymous-storage-FURL": f"pb://{TUB}@tcp:127.0.0.1:7110/{SECRET}",
        "grid-manager-certificates": [{"certificate": CERTIFICATE, "signature": "a" * 103}],
    }
    # JSON is YAML; and as Python writes YAML.
    yield json.dumps([{"ann": ann, "key_s": SERVER}])
    yield json.dumps({"storage": {SERVER: {"ann": ann}}})
    block = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in ann.items())
    yield f"- ann:\n{block}  key_s: {SERVER}\n- ann: {{service-name: other}}\n  key_s: x\n"
    yield f"storage:\n  {SERVER}:\n    ann: {{nickname: s, anonymous-storage-NURLs: ['{nurls[0]}']}}\n"
    yield f"- ann: &one\n    nickname: 'it''s'\n  key_s: {SERVER}\n- ann: *one\n  key_s: {SERVER}\n"
    yield from ("", "[]\n", "storage:\n", "storage: {}\n", "- &a [*a]\n", "--- 1\n--- 2\n", "? [a]\n: b\n", "a: |\n  b\n")


def certificates():
    yield CERTIFICATE
    yield CERTIFICATE + "\n" + "a" * 103
    yield CERTIFICATE.replace("+00:00", "")
    yield CERTIFICATE.replace("2027", "1969").replace('"version":1', '"version":2')
    yield CERTIFICATE.replace(SERVER, "v0-" + "a" * 52)
    yield "{}"


def share_sets():
    for items in ([], [2], [0, 7, 255], list(range(23)), list(range(256)), [2, 2]):
        yield b"\xd9\x01\x02" + cbor(items)
    yield cbor([2])
    yield b"\xd9\x01\x02\x9b" + b"\xff" * 8
    yield b"\xd9\x01\x02\x82\x19\x00\x05\x1b" + bytes(7) + b"\x06"


def main():
    makers = {
        "mutable": mutables, "directory": directories, "servers": server_lists, "certificate": certificates,
        "share_numbers": share_sets,
        "erasure": blocks, "share": shares, "manifest": manifests,
        "record": records, "delegation": delegations, "session": callers, "money": money, "bundle": bundles, "statement": statements, "netting": nettings, "policy": policies, "message": messages, "cap": caps, "furl": furls,
        "config": configs,
    }
    for target, seeds in makers.items():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds():
            seed = seed.encode() if isinstance(seed, str) else seed
            (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


if __name__ == "__main__":
    main()
