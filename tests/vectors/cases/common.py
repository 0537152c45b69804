"""What all cases share: the keys, a record to change, and the expectations in the words of README.md."""

from .forge import (
    Key,
    cbor,
    grid_id,
    identity,
    seal,
)

DAY, HOUR = 86_400, 3_600


ISSUED = 1_800_000_000  # 2027-01-15T08:00:00Z


NOW = ISSUED + 60


EXPIRES = ISSUED + 7 * DAY


LATEST = 253_402_207_200  # 9999-12-30T22:00:00Z


MOST = 2**63 - 1


GRID, PUBLISHER, OTHER, NEXT = Key("grid"), Key("publisher"), Key("other"), Key("next")


GATEWAY, CLEARING, MIXED = Key("gateway"), Key("clearing"), Key("mixed order", torsion=1)


SPKI = bytes(range(32))


HASH = bytes(range(32, 64))


RECORD = {0: 1, 1: ISSUED * 1000, 2: ISSUED, 3: EXPIRES, 4: False, 5: ISSUED}


DELEGATION = {0: 1, 1: ISSUED, 2: PUBLISHER.public, 3: ISSUED + 365 * DAY}


TAHOE_CERTIFICATE = (
    '{"expires":"2027-11-23T05:45:55.830018+00:00","public_key":"%s","version":1}' % grid_id(OTHER.public)
).encode()


def payload_of(changes=None, base=RECORD):
    """A map with `changes`; None takes a key away."""
    fields = {**base, **(changes or {})}
    return {key: value for key, value in fields.items() if value is not None}


def delegation(changes=None, key=GRID, kind="delegation/1", **how):
    """A delegation to the publisher key, in its envelope."""
    fields = payload_of(changes, DELEGATION)
    return seal(kind, cbor(fields), key, **how)


RECORD_NAMES = (
    "format",
    "sequence",
    "issued_at",
    "expires_at",
    "withdrawn",
    "authority",
    "nickname",
    "contact",
    "gateways",
    "rates",
    "nodes",
    "clearing",
    "previous",
    "next",
    "successor",
    "predecessor",
    "work",
)


DELEGATION_NAMES = ("format", "serial", "publisher", "not_after", "next", "max_limit", "committed_until")


NESTED_NAMES = {
    "gateways": ("host", "port", "spki_hash", "key", "roles", "limit", "furl"),
    "limit": ("asset", "amount"),
    "max_limit": ("asset", "amount"),
    "rates": ("asset", "price", "not_before", "committed_until", "next"),
    "next": ("price", "not_before"),
    "nodes": ("peer_id", "addresses"),
}


def view(value, names):
    """How a vector writes what was decoded (README.md). `names` are the words for a map's keys."""
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, list):
        return [view(item, names) for item in value]
    return {names[key]: view(value[key], NESTED_NAMES.get(names[key])) for key in sorted(value) if key < 64}


def holder_view(fields, grid, payload):
    """What a holder reads of a record."""
    delegation = DELEGATIONS.get(fields[5]) if isinstance(fields[5], bytes) else None
    out = view({key: fields[key] for key in range(5)}, RECORD_NAMES)
    out["identity"] = view(identity("record/1", grid, payload), None)
    out["serial"] = view(delegation[1] if delegation else fields[5], None)
    return out | ({"publisher": view(delegation[2], None)} if delegation else {})


def reader_view(fields, grid, payload):
    """What a reader reads of it."""
    delegation = DELEGATIONS.get(fields[5]) if isinstance(fields[5], bytes) else None
    out = view(fields, RECORD_NAMES) | holder_view(fields, grid, payload)
    return out | ({"authority": view(delegation, DELEGATION_NAMES)} if delegation else {})


DELEGATIONS = {}  # the fields of each delegation made, by its bytes


def delegated(changes=None, inside=None, publisher=PUBLISHER):
    """The fields of a record under a delegation changed by `inside`."""
    inside = {2: publisher.public} | (inside or {})
    made = delegation(inside)
    DELEGATIONS[made] = payload_of(inside, DELEGATION)
    return payload_of({5: made} | (changes or {}))


class Records(list):
    """The record vectors of one file."""

    def raw(self, name, why, data, holder, reader=None, now=NOW, grid=GRID, payload=None, fields=None):
        """Bytes as they stand. With `fields` what is expected of them is described too."""
        reader = reader or holder
        vector = {"name": name, "why": why, "grid_id": grid_id(grid.public), "now_unix_seconds": now}
        vector |= {"bytes_hex": data.hex(), "holder": holder, "reader": reader}
        if holder == "ok":
            vector["holder_view"] = holder_view(fields, grid.public, payload)
        if reader == "ok":
            vector["reader_view"] = reader_view(fields, grid.public, payload)
        self.append(vector)

    def signed(self, name, why, fields, holder="ok", reader=None, key=None, now=NOW, **how):
        """A record of `fields`, properly signed by the key that its authority names."""
        if key is None:
            key = PUBLISHER if isinstance(fields.get(5), bytes) else GRID
        payload = cbor(fields)
        self.raw(name, why, seal("record/1", payload, key, **how), holder, reader, now, payload=payload, fields=fields)

    def good(self, name, why, changes=None, **how):
        """A record that everyone accepts."""
        self.signed(name, why, payload_of(changes), **how)

    def unreadable(self, name, why, changes, reader="field"):
        """A record that a holder stores and no reader acts on."""
        self.signed(name, why, payload_of(changes), "ok", reader)

    def bad(self, name, why, changes, outcome="field", **how):
        """A record that nobody accepts."""
        self.signed(name, why, payload_of(changes), outcome, **how)

    def payload(self, name, why, payload, outcome="non-canonical", key=GRID):
        """A payload as it stands, properly signed."""
        self.raw(name, why, seal("record/1", payload, key), outcome)


def gateway(changes=None):
    """A gateway that serves, with `changes`."""
    return payload_of(changes, {0: "gw.grid.example", 1: 443, 2: SPKI})


def spender(changes=None):
    """A gateway that only spends."""
    return payload_of(changes, {3: GATEWAY.public, 4: 2})


def rate(changes=None):
    """A rate of 0.02 USD per GiB."""
    return payload_of(changes, {0: "USD", 1: 20_000_000})


IP4, IP6, TCP, UDP, QUIC, P2P, WS = b"\x04", b"\x29", b"\x06", b"\x91\x02", b"\xcd\x03", b"\xa5\x03", b"\xdd\x03"


ADDRESS = IP4 + bytes([203, 0, 113, 7]) + UDP + b"\x0f\xa1" + QUIC


LONG_NAME = b"a" * 61 + b"." + b"b" * 61  # 123 octets: with port and codes an address of 128
ADDRESS_TCP = IP4 + bytes([203, 0, 113, 7]) + TCP + b"\x0f\xa1"


def peer(n):
    """The peer id of a libp2p node with an Ed25519 key."""
    return bytes([0, 36, 8, 1, 18, 32]) + Key(f"node {n}").public


def node(changes=None):
    """A node with one address."""
    return payload_of(changes, {0: peer(1), 1: [ADDRESS]})


FURL = "pb://" + "abcdefghijklmnopqrstuvwxyz234567" + "@tcp:gw.grid.example:3457/gateway"


FULL = {
    6: "Grid of the Northern Library",
    7: ["mailto:ops@grid.example", "https://grid.example/status"],
    8: [
        gateway({3: GATEWAY.public, 4: 7, 5: {0: "USD", 1: 100 * 10**9}}),
        gateway({0: bytes([203, 0, 113, 9]), 1: 8443}),
    ],
    9: [rate({0: "EUR", 3: ISSUED + 90 * DAY, 4: {0: 30_000_000, 1: ISSUED + 90 * DAY}}), rate()],
    10: [node({1: [ADDRESS, ADDRESS_TCP]})],
    11: [CLEARING.public],
    12: HASH,
    13: bytes.fromhex("00" * 32),
    15: OTHER.public,
    16: 77,
}
