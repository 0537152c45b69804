"""Claims to a session, and memberships: docs/spec/gateway.md."""

from .common import (
    DAY,
    EXPIRES,
    GATEWAY,
    GRID,
    ISSUED,
    LATEST,
    NOW,
    OTHER,
    PUBLISHER,
    RECORD,
    gateway,
    payload_of,
    spender,
)
from .forge import OFF_CURVE, SMALL_ORDER, Key, Raw, cbor, envelope, grid_id, head, seal, to_be_signed

CLIENT = Key("client")
SPKI, EXPORTER, NONCE = bytes(range(32)), bytes(range(64, 96)), bytes(range(16))
# The server is of GRID, the calling grid is OTHER, its gateway's key is GATEWAY.
CLAIM = {0: GRID.public, 1: SPKI, 2: EXPORTER, 4: CLIENT.public, 5: NOW, 6: NONCE}


def record_of(changes=None, key=OTHER):
    """The calling grid's record, which lets its gateway spend."""
    return seal("record/1", cbor(payload_of({8: [spender()]} | (changes or {}))), key)


def from_grid(record=None):
    """What a claim has besides in the name of a grid."""
    return {3: OTHER.public, 4: GATEWAY.public, 7: record_of() if record is None else record}


def sessions():
    """Claims to a session: one server, one connection."""
    vectors = []

    def raw(name, why, data, outcome, now=NOW, **more):
        place = {"grid_id": grid_id(GRID.public), "spki_hash_hex": SPKI.hex(), "exporter_hex": EXPORTER.hex()}
        vectors.append(
            {"name": name, "why": why} | place
            | {"now_unix_seconds": now, "bytes_hex": data.hex(), "outcome": outcome} | more
        )

    def signed(name, why, changes=None, outcome="ok", key=None, now=NOW):
        fields = payload_of(changes, CLAIM)
        key = key or (GATEWAY if fields.get(4) == GATEWAY.public else CLIENT)
        view = {}
        if outcome == "ok":
            view = {"caller": "grid" if 3 in fields else "client", "key": grid_id(fields[4]), "nonce_hex": fields[6].hex()}
        raw(name, why, seal("session/1", cbor(fields), key), outcome, now, **view)

    signed("client", "an accounting key")
    signed("grid", "a gateway's key that its grid's record lets spend", from_grid())
    signed("later-word", "a key from 64 on is passed over", {64: "new"})
    signed("early", "120 s before the server's time", now=NOW + 120)
    signed("late", "120 s after it", now=NOW - 120)
    signed("too-early", "121 s before it", outcome="time", now=NOW + 121)
    signed("too-late", "121 s after it", outcome="time", now=NOW - 121)
    signed("another-grid", "made for a gateway of another grid", {0: OTHER.public}, "other-grid")
    signed("another-server", "made for another TLS key", {1: bytes(32)}, "other-server")
    signed("another-connection", "made for another connection", {2: bytes(32)}, "other-connection")
    signed("another-key", "signed by a key that it does not name", outcome="signature", key=OTHER)
    signed("unknown-word", "a key below 64 that is not known", {8: 1}, "upgrade")
    for number, name in enumerate(("server", "spki_hash", "exporter", None, "key", "time", "nonce")):
        if name:
            signed(f"no-{name}", f"`{name}` is missing", {number: None}, "field", key=CLIENT)
    signed("no-grid", "a record and no grid", from_grid() | {3: None}, "field")
    signed("no-record", "a grid and no record", from_grid() | {7: None}, "field")
    signed("short-nonce", "a nonce of 15 octets", {6: NONCE[:15]}, "field")
    signed("time-zero", "the time is 0", {5: 0}, "field")
    signed("no-point", "a server that is no key", {0: OFF_CURVE}, "key")
    signed("small-order", "a key of small order", {4: SMALL_ORDER[1]}, "key", key=CLIENT)
    signed("not-spending", "the record lets the key do other things", from_grid(record_of({8: [spender({4: 4})]})), "not-listed")
    signed("not-listed", "the record has no gateway with the key", from_grid(record_of({8: [gateway()]})), "not-listed")
    signed("no-gateways", "the record has no gateway at all", from_grid(record_of({8: None})), "not-listed")
    signed("record-of-another", "the record is another grid's", from_grid(record_of(key=PUBLISHER)), "record")
    signed("record-empty", "the record is empty", from_grid(b""), "record")
    stale = {1: (ISSUED - 8 * DAY) * 1000, 2: ISSUED - 8 * DAY, 3: EXPIRES - 8 * DAY, 5: ISSUED - 8 * DAY}
    signed("record-expired", "the record has expired", from_grid(record_of(stale)), "record-time")
    gone = seal("record/1", cbor(payload_of({4: True}, RECORD)), OTHER)
    signed("withdrawn", "the calling grid has withdrawn", from_grid(gone), "withdrawn")
    body = cbor(CLAIM)
    raw("empty", "no bytes", b"", "empty")
    raw("too-big", "1,537 octets", bytes(1537), "too-big")
    raw("tagged", "COSE_Sign1 with its tag", b"\xd2" + seal("session/1", body, CLIENT), "envelope")
    raw("padded", "an octet after the end", seal("session/1", body, CLIENT) + b"\0", "envelope")
    raw("as-membership", "signed as another type", seal("membership/1", body, CLIENT), "signature")
    other_aad = envelope(body, CLIENT.sign(to_be_signed("session/1", OTHER.public, body)))
    raw("another-aad", "signed for another key", other_aad, "signature")
    long_time = cbor({key: Raw(head(0, NOW, 8)) if key == 5 else value for key, value in CLAIM.items()})
    raw("long-time", "a number longer than it needs to be", seal("session/1", long_time, CLIENT), "non-canonical")
    return vectors


def memberships():
    """Memberships of one grid, whose delegation names the publisher key."""
    vectors = []
    member = {0: GRID.public, 1: GRID.public, 2: CLIENT.public, 3: NOW * 1000, 4: "Ada", 6: NOW + 365 * DAY}

    def raw(name, why, data, outcome, **more):
        place = {"grid_id": grid_id(GRID.public), "publisher": grid_id(PUBLISHER.public)}
        vectors.append({"name": name, "why": why} | place | {"bytes_hex": data.hex(), "outcome": outcome} | more)

    def signed(name, why, changes=None, outcome="ok", key=GRID):
        fields = payload_of(changes, member)
        view = {}
        if outcome == "ok":
            view = {
                "key": grid_id(fields[2]), "serial": str(fields[3]), "label": fields[4], "groups": fields.get(5, []),
                "not_after": str(fields[6]), "servers_hex": [hash.hex() for hash in fields.get(7, [])],
                "removed": fields.get(8, False),
            }
        raw(name, why, seal("membership/1", cbor(fields), key), outcome, **view)

    signed("plain", "signed by the grid key")
    signed("by-publisher", "signed by the publisher", {1: PUBLISHER.public}, key=PUBLISHER)
    signed("full", "every field", {5: ["staff", "night shift"], 7: [SPKI, EXPORTER]})
    signed("removed", "no client any more", {8: True})
    signed("for-ever", "until it is removed", {6: LATEST})
    signed("later-word", "a key from 64 on is passed over", {64: [1]})
    signed("most", "8 groups of 32 octets, 8 servers, a label of 64", {
        4: "x" * 64, 5: [f"{n}" * 32 for n in range(8)], 7: [bytes([n]) * 32 for n in range(8)],
    })
    signed("another-grid", "of another grid", {0: OTHER.public, 1: OTHER.public}, "other-grid", key=OTHER)
    signed("another-signer", "a key that may not sign", {1: OTHER.public}, "other-signer", key=OTHER)
    signed("forged", "names the grid key, and another signed", outcome="signature", key=OTHER)
    signed("unknown-word", "a key below 64 that is not known", {9: 1}, "upgrade")
    for number, name in {0: "grid", 1: "signer", 2: "key", 3: "serial", 4: "label", 6: "not_after"}.items():
        signed(f"no-{name}", f"`{name}` is missing", {number: None}, "field")
    signed("serial-zero", "the serial is 0", {3: 0}, "field")
    signed("label-empty", "an empty label", {4: ""}, "field")
    signed("label-control", "a label with a line end", {4: "A\nB"}, "field")
    signed("label-long", "a label of 65 octets", {4: "x" * 65}, "field")
    signed("groups-none", "no groups, and said", {5: []}, "field")
    signed("groups-nine", "nine groups", {5: [f"g{n}" for n in range(9)]}, "field")
    signed("groups-twice", "the same group twice", {5: ["a", "a"]}, "field")
    signed("groups-long", "a group of 33 octets", {5: ["x" * 33]}, "field")
    signed("groups-comma", "a group with a comma", {5: ["a,b"]}, "field")
    signed("servers-twice", "the same server twice", {7: [SPKI, SPKI]}, "field")
    signed("servers-short", "a hash of 31 octets", {7: [SPKI[:31]]}, "field")
    signed("not-removed", "`false` is said by leaving it out", {8: False}, "field")
    signed("end-far", "a time that has no date", {6: LATEST + 1}, "field")
    signed("key-weak", "a client key of small order", {2: SMALL_ORDER[2]}, "key")
    raw("empty", "no bytes", b"", "empty")
    raw("too-big", "1,025 octets", bytes(1025), "too-big")
    raw("as-session", "signed as another type", seal("session/1", cbor(member), GRID), "signature")
    return vectors
