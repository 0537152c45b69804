"""Objects of money: docs/spec/clearing.md."""

import hashlib

from .common import CLEARING, DAY, GATEWAY, GRID, HASH, HOUR, MOST, NOW, OTHER
from .forge import OFF_CURVE, Key, Raw, cbor, envelope, seal, to_be_signed

CLIENT, PAYER, PAYEE = Key("client"), Key("payer session"), Key("payee session")
ID = bytes(range(16))
FIRST, SECOND = sorted((GRID, OTHER), key=lambda key: key.public)
PRICE = 20_000_000


def charge(octets, price=PRICE):
    """What so many octets cost in all."""
    return -(-octets * price // 2**30)


def both(kind, fields, payer, payee):
    """Signed by both: the envelope with the payer's signature, and the payee's behind it."""
    body = cbor(fields)
    return seal(kind, body, payer) + payee.sign(to_be_signed(kind, payee.public, body))


def identity_of(kind, fields, two):
    """SHA-256 of type, owner and payload; of what both sign, without the owner."""
    return hashlib.sha256(kind.encode() + b"\0" + (b"" if two else fields[0]) + cbor(fields)).hexdigest()


# OTHER reads from GRID, and CLEARING keeps the books.
TERMS = {
    0: OTHER.public, 1: OTHER.public, 2: GRID.public, 3: GRID.public, 4: CLEARING.public, 5: "USD", 6: 10**10, 7: 64 << 20,
    8: 30 * DAY, 9: 60 * DAY, 10: NOW, 11: NOW + 365 * DAY, 12: ID,
}
LANE = {
    0: OTHER.public, 1: CLIENT.public, 2: GRID.public, 3: GATEWAY.public, 5: "USD", 6: PRICE, 7: HASH, 8: HASH, 10: HASH,
    11: ID, 12: ID, 13: PAYER.public, 14: PAYEE.public, 15: ID, 16: ID, 17: HASH, 18: NOW, 19: NOW + 24 * HOUR,
}
AGREED = both("lane-open/1", LANE, CLIENT, GATEWAY)
LANE_ID = bytes.fromhex(identity_of("lane-open/1", LANE, True))
VOUCHER = {0: LANE_ID, 1: 123_456_789, 2: charge(123_456_789), 3: NOW, 4: HASH}
LINE = {0: LANE_ID, 1: 0 if FIRST is OTHER else 1, 2: 0, 3: 2**30, 4: 0, 5: PRICE}
POSITION = {
    0: CLEARING.public, 1: CLEARING.public, 2: FIRST.public, 3: SECOND.public, 4: "USD", 5: 1, 7: NOW, 8: [LINE],
    10: PRICE if FIRST is OTHER else 0, 11: 0 if FIRST is OTHER else PRICE, 12: 0, 13: 0,
}
BASES = {
    "deck/1": (GRID, {
        0: GRID.public, 1: GRID.public, 2: NOW * 1000, 3: CLIENT.public, 4: OTHER.public, 5: "USD", 6: PRICE, 7: NOW,
        8: NOW + 30 * DAY,
    }),
    "claim/1": (GRID, {
        0: GRID.public, 1: GRID.public, 2: CLEARING.public, 3: NOW, 4: [{0: seal("voucher/1", cbor(VOUCHER), PAYER), 1: AGREED}],
    }),
    "receipt/1": (CLEARING, {
        0: CLEARING.public, 1: CLEARING.public, 2: HASH, 3: GRID.public, 4: NOW,
        5: [{0: LANE_ID, 1: 2**30, 2: PRICE}, {0: HASH, 1: 0, 2: 0, 3: 1}],
    }),
    "position/1": (CLEARING, POSITION),
    "consent/1": (GRID, {
        0: GRID.public, 1: GRID.public, 2: CLEARING.public, 3: HASH, 4: "USD", 5: 700, 6: 300, 7: 400, 8: 0, 9: NOW, 10: NOW + DAY,
    }),
    "statement/1": (CLEARING, {
        0: CLEARING.public, 1: CLEARING.public, 2: GRID.public, 3: OTHER.public, 4: "USD", 5: NOW - 30 * DAY, 6: NOW, 7: HASH,
        8: 1000, 9: PRICE, 10: 0, 11: 0, 12: PRICE, 13: 1000,
    }),
    "payment/1": (GRID, {
        0: GRID.public, 1: GRID.public, 2: OTHER.public, 3: "USD", 4: PRICE, 5: NOW * 1000, 6: NOW, 7: "RF18 5390 0754 7034", 8: HASH,
    }),
    "revoke/1": (GRID, {0: GRID.public, 1: GRID.public, 2: 1, 3: HASH, 4: NOW * 1000, 5: NOW, 6: "three statements unpaid"}),
}
# Of each: the keys that may be left out, and changes that make it none.
FAULTS = {
    "deck/1": ([3, 4], {
        "ends-first": {8: NOW}, "free-at-a-price": {5: "XXX"}, "price-of-64-bits": {6: MOST + 1}, "no-such-asset": {5: "QQQ"},
        "no-serial": {2: 0},
    }),
    "claim/1": ([], {"of-nothing": {4: None}, "empty-list": {4: []}, "129-lanes": {4: [{0: b"v"}] * 129}, "long-object": {4: [{0: bytes(1025)}]}}),
    "receipt/1": ([], {"lane-twice": {5: [{0: HASH, 1: 0, 2: 0}] * 2}, "for-nothing": {5: None}}),
    "position/1": ([], {
        "out-of-order": {2: SECOND.public, 3: FIRST.public}, "second-without-first": {5: 2}, "first-with-one-before": {6: HASH},
        "does-not-add-up": {12: 1}, "nothing-booked": {8: None, 10: 0, 11: 0}, "booked-back": {8: [LINE | {3: 0}]},
        "lane-twice": {8: [LINE, LINE]}, "settled-nothing": {9: [{0: 1, 1: HASH, 2: 0, 3: 0}]},
    }),
    "consent/1": ([], {"net-changes": {7: 401}, "pays-more": {7: 800, 8: 400}, "ends-first": {10: NOW}}),
    "statement/1": ([7], {"does-not-add-up": {12: PRICE + 1}, "owes-himself": {3: GRID.public}, "ends-first": {6: NOW - 31 * DAY}}),
    "payment/1": ([8], {"nothing": {4: 0}, "himself": {2: GRID.public}, "free": {3: "XXX"}, "line-break": {7: "a\nb"}}),
    "revoke/1": ([6], {}),
}


def without(fields, changes):
    """The fields with changes; None takes a key away."""
    return {key: value for key, value in {**fields, **changes}.items() if value is not None}


def money():
    """Objects that are signed where downloads are paid for. `form`: signed by `one`, by `both`, or a counter `of-lane`."""
    vectors = []

    def raw(name, why, kind, data, outcome, form, **more):
        vectors.append(
            {"name": f"{kind.split('/')[0]}-{name}", "why": why, "type": kind, "form": form, "bytes_hex": data.hex(), "outcome": outcome} | more
        )

    for kind, (key, base) in BASES.items():
        def one(name, why, changes=None, outcome="ok", signer=key, kind=kind, base=base):
            fields = without(base, changes or {})
            more = {"identity": identity_of(kind, fields, False)} if outcome == "ok" else {}
            raw(name, why, kind, seal(kind, cbor(fields), signer), outcome, "one", **more)

        optional, faults = FAULTS[kind]
        one("plain", "right")
        one("later-word", "a key from 64 on is passed over", {64: "new"})
        one("unknown-word", "a key below 64 that is not known", {20: 1}, "upgrade")
        one("another-key", "signed by a key that it does not name", None, "signature", PAYER)
        one("no-point", "a signer that is no key", {1: OFF_CURVE}, "key")
        raw("another-type", "signed as another type", kind, seal("membership/1", cbor(base), key), "signature", "one")
        raw("long-number", "a number in more octets than it needs", kind,
            envelope(cbor(base | {64: Raw(b"\x18\x01")}), bytes(64)), "non-canonical", "one")
        raw("tagged", "COSE_Sign1 with its tag", kind, b"\xd2" + seal(kind, cbor(base), key), "envelope", "one")
        for number in optional:
            one(f"without-{number}", f"key {number} may be left out", {number: None})
        for number in base:
            if number not in optional and not isinstance(base[number], list):
                one(f"no-{number}", f"key {number} is missing", {number: None}, "field")
        for name, changes in faults.items():
            one(name, "a payload that contradicts itself", changes, "field")

    key, base = BASES["revoke/1"]
    for ended, outcome in ((2, "ok"), (3, "ok"), (4, "ok"), (5, "upgrade"), (0, "upgrade")):
        fields = base | {2: ended}
        more = {"identity": identity_of("revoke/1", fields, False)} if outcome == "ok" else {}
        raw(f"of-kind-{ended}", "what is ended", "revoke/1", seal("revoke/1", cbor(fields), key), outcome, "one", **more)

    def two(name, why, kind, base, keys, changes=None, outcome="ok"):
        fields = without(base, changes or {})
        more = {"identity": identity_of(kind, fields, True)} if outcome == "ok" else {}
        raw(name, why, kind, both(kind, fields, *keys), outcome, "both", **more)

    for kind, base, keys, optional, faults in (
        ("terms/1", TERMS, (OTHER, GRID), [4], {
            "with-itself": {2: OTHER.public}, "one-key": {3: OTHER.public}, "small-window": {7: (1 << 20) - 1},
            "large-window": {7: (1 << 40) + 1}, "settled-never": {8: 0}, "ends-first": {11: NOW}, "credit-of-64-bits": {6: MOST + 1},
        }),
        ("lane-open/1", LANE, (CLIENT, GATEWAY), [8, 10], {
            "pays-himself": {0: GRID.public}, "one-key": {3: CLIENT.public}, "one-counter": {14: PAYER.public},
            "payee-as-destination": {4: GRID.public}, "free-at-a-price": {5: "XXX"}, "price-without-evidence": {7: None},
            "25-hours": {19: NOW + 25 * HOUR}, "ends-first": {19: NOW}, "short-nonce": {15: ID[:15]},
        }),
    ):
        two("plain", "right", kind, base, keys)
        two("later-word", "a key from 64 on is passed over", kind, base, keys, {64: "new"})
        two("unknown-word", "a key below 64 that is not known", kind, base, keys, {20: 1}, "upgrade")
        for number in optional:
            two(f"without-{number}", f"key {number} may be left out", kind, base, keys, {number: None})
        for name, changes in faults.items():
            two(name, "a payload that contradicts itself", kind, base, keys, changes, "field")
        for number in base:
            if number not in optional and number != 7:
                two(f"no-{number}", f"key {number} is missing", kind, base, keys, {number: None}, "field")
        body = cbor(base)
        raw("one-side", "signed by one side", kind, seal(kind, body, keys[0]), "envelope", "both")
        raw("other-order", "the payee's signature before the payer's", kind, both(kind, base, *reversed(keys)), "signature", "both")
        raw("one-key-twice", "the payer signs for both", kind, both(kind, base, keys[0], keys[0]), "signature", "both")
        raw("padded", "an octet after the end", kind, both(kind, base, *keys) + b"\0", "envelope", "both")
    two("free", "at price 0 evidence may be left out", "lane-open/1", LANE, (CLIENT, GATEWAY), {5: "XXX", 6: 0, 7: None})
    two("of-a-client", "a destination and a grant", "lane-open/1", LANE, (CLIENT, GATEWAY), {0: CLIENT.public, 4: OTHER.public, 9: HASH})

    def of_lane(name, why, changes=None, outcome="ok", key=PAYER, kind="voucher/1", base=VOUCHER, lane=AGREED):
        fields = without(base, changes or {})
        more = {"identity": identity_of(kind, fields, False)} if outcome == "ok" else {}
        raw(name, why, kind, seal(kind, cbor(fields), key), outcome, "of-lane", lane_hex=lane.hex(), **more)

    of_lane("plain", "right")
    of_lane("one-octet", "the smallest", {1: 1, 2: 1})
    of_lane("exact", "2^30 octets cost the price", {1: 2**30, 2: PRICE})
    of_lane("rounded-up", "one octet more costs one minor unit more", {1: 2**30 + 1, 2: PRICE + 1})
    of_lane("later-word", "a key from 64 on is passed over", {64: 1})
    of_lane("rounded-down", "a minor unit too little", {2: charge(123_456_789) - 1}, "field")
    of_lane("too-dear", "a minor unit too much", {2: charge(123_456_789) + 1}, "field")
    of_lane("for-nothing", "no octets", {1: 0, 2: 0}, "field")
    of_lane("overflowing", "octets of 64 bits", {1: MOST + 1}, "field")
    of_lane("unknown-word", "a key below 64 that is not known", {5: 1}, "upgrade")
    of_lane("another-lane", "of another lane", {0: HASH}, "other-lane")
    of_lane("payees-key", "signed by the payee's session key", None, "signature", PAYEE)
    of_lane("payers-own-key", "signed by the key that opened the lane", None, "signature", CLIENT)
    dear = LANE | {6: MOST}
    dear_lane, dear_id = both("lane-open/1", dear, CLIENT, GATEWAY), bytes.fromhex(identity_of("lane-open/1", dear, True))
    of_lane("dearest", "2^30 octets at the highest price", {0: dear_id, 1: 2**30, 2: MOST}, lane=dear_lane)
    of_lane("beyond-63-bits", "a charge that does not fit", {0: dear_id, 1: 2**30 + 1, 2: MOST}, "field", lane=dear_lane)
    report = {0: LANE_ID, 1: 2**20, 2: NOW, 3: HASH}
    more = {"kind": "lane-report/1", "base": report, "key": PAYEE}
    of_lane("plain", "right", **more)
    of_lane("nothing-sent", "no octets", {1: 0}, **more)
    of_lane("payers-key", "signed by the payer's session key", None, "signature", **(more | {"key": PAYER}))
    of_lane("another-lane", "of another lane", {0: HASH}, "other-lane", **more)
    of_lane("no-transcript", "key 3 is missing", {3: None}, "field", **more)
    return vectors
