"""Wrong delegations, wrong signatures."""

import hashlib

from .common import (
    DAY,
    DELEGATION,
    EXPIRES,
    GRID,
    HASH,
    HOUR,
    ISSUED,
    LATEST,
    MIXED,
    NEXT,
    OTHER,
    PUBLISHER,
    TAHOE_CERTIFICATE,
    Records,
    delegated,
    delegation,
    payload_of,
    rate,
    spender,
)
from .forge import (
    NEUTRAL_AGAIN,
    NEUTRAL_BYTES,
    OFF_CURVE,
    PROTECTED,
    SECOND_ENCODINGS,
    SMALL_ORDER,
    Raw,
    cbor,
    envelope,
    grid_id,
    identity,
    plus_order,
    seal,
    to_be_signed,
)


def delegations():
    """Delegations that are wrong in themselves, and records that theirs does not permit."""
    v = Records()
    d = "delegation"

    def inside(name, why, changes=None, made=None, outcome=d, key=PUBLISHER, **how):
        made = delegation(changes, **how) if made is None else made
        v.signed(name, why, payload_of({5: made}), outcome, key=key)

    right = delegation()
    inside("empty", "no bytes", made=b"")
    inside("cut-off", "an envelope without its end", made=right[:-1])
    inside("padded", "an octet after its end", made=right + b"\0")
    inside("tagged", "COSE_Sign1 with its tag", made=b"\xd2" + right)
    inside("unprotected-entry", "a header that is not signed", made=right[:5] + cbor({4: b"k"}) + right[6:])
    inside("bare-key", "a publisher key and no permission", made=PUBLISHER.public)
    body = cbor(DELEGATION)
    inside("payload-padded", "an octet after its map", made=seal("delegation/1", body + b"\0", GRID))
    inside("long-integer", "an integer longer than it need be", {0: Raw(b"\x18\x01")})
    inside(
        "key-order",
        "keys 0 and 1 exchanged",
        made=seal("delegation/1", b"\xa4\x01" + cbor(ISSUED) + b"\x00\x01" + body[1 + 2 + 6 :], GRID),
    )
    inside("float-in-unknown", "the whole map must be deterministic CBOR", {64: Raw(b"\xf9\x3c\x00")})
    inside("depth-5", "its depth is counted by itself, to 4 as well", {64: Raw(b"\x81\x81\x81\x81\x00")})
    v.signed("depth-4", "its depth is counted by itself", delegated({}, {64: [[[0]]]}), "ok")
    inside("payload-array", "an array where the map belongs", made=seal("delegation/1", cbor([1]), GRID))
    for key in range(4):
        inside(f"without-key-{key}", "keys 0 to 3 are mandatory", {key: None})
    inside("format-0", "formats begin at 1", {0: 0})
    inside("format-text", "a text where an integer belongs", {0: "1"})
    inside("serial-0", "times begin at 1", {1: 0, 3: 400})
    inside("serial-beyond-9999", "past the last second that has a date", {1: LATEST + 1, 3: LATEST + 2})
    inside("serial-largest", "where a sum would overflow", {1: 2**64 - 1, 3: 2**64 - 1})
    inside("serial-text", "a text where an integer belongs", {1: "2027"})
    inside("publisher-text", "a key as text", {2: grid_id(PUBLISHER.public)})
    inside("publisher-31-octets", "31 octets", {2: PUBLISHER.public[1:]})
    inside("publisher-small-order", "a key under which anyone may sign", {2: SMALL_ORDER[3]})
    inside("publisher-second-encoding", "y not reduced", {2: SECOND_ENCODINGS[3]})
    inside("publisher-off-curve", "no point of the curve", {2: OFF_CURVE})
    inside("publisher-is-the-grid", "a grid key needs no permission", {2: GRID.public}, key=GRID)
    brief = {3: ISSUED + 1000}
    v.signed("not-after-is-serial", "ends when it begins", delegated(brief, brief | {1: ISSUED + 1000}), d)
    v.signed("not-after-before-serial", "ends before it begins", delegated(brief, brief | {1: ISSUED + 1001}), d)
    inside("400-days-and-a-second", "400 days are the most", {3: ISSUED + 400 * DAY + 1})
    inside("not-after-beyond-9999", "past the last second that has a date", {1: LATEST, 3: LATEST + 1})
    inside("signed-by-publisher", "nobody permits himself", key=PUBLISHER, made=delegation(None, PUBLISHER))
    inside("signed-by-other", "another grid's permission", made=delegation(None, OTHER))
    inside("signed-as-record", "a signature for another type of object", kind="record/1")
    inside("signed-bare", "a signature over the bare payload", made=envelope(body, GRID.sign(body)))
    inside("plus-order", "S + L", made=envelope(body, plus_order(right[-64:])))
    inside("flipped", "one bit of its payload", made=right[:20] + bytes([right[20] ^ 1]) + right[21:])

    def beyond(name, why, changes, inner=None, holder=d, reader=d):
        v.signed(name, why, delegated(changes, inner), holder, reader)

    beyond("record-with-next", "the next key stands in the delegation", {13: HASH})
    beyond("record-with-successor", "only the grid key names a successor", {14: NEXT.public})
    beyond("record-withdrawn", "only the grid key withdraws", {4: True})
    beyond("record-with-next-format-2", "in every format", {0: 2, 13: HASH})
    beyond("record-outlives-delegation", "a second longer", {}, {3: EXPIRES - 1})
    beyond("record-issued-too-early", "more than 2 h before the serial", {}, {1: ISSUED + 2 * HOUR + 1})
    limit = {8: [spender({5: {0: "USD", 1: 500}})]}
    beyond("limit-not-permitted", "none without max_limit", limit, None, "ok")
    beyond("limit-above", "one more than max_limit", limit, {5: {0: "USD", 1: 499}}, "ok")
    beyond("limit-in-another-asset", "max_limit names one asset", limit, {5: {0: "EUR", 1: 500}}, "ok")
    beyond(
        "limit-zero-in-another-asset",
        "be it nothing",
        {8: [spender({5: {0: "USD", 1: 0}})]},
        {5: {0: "EUR", 1: 500}},
        "ok",
    )
    beyond(
        "committed-past-delegation",
        "not_after is the latest by default",
        {9: [rate({3: ISSUED + 366 * DAY})]},
        None,
        "ok",
    )
    beyond(
        "committed-past-latest",
        "a second past the latest",
        {9: [rate({3: ISSUED + 5 * DAY + 1})]},
        {6: ISSUED + 5 * DAY},
        "ok",
    )
    beyond(
        "committed-by-default-past-latest",
        "without a date the line is committed until expires_at",
        {9: [rate()]},
        {6: EXPIRES - 1},
        "ok",
    )
    for name, why, inner in (
        ("next-31-octets", "31 octets", {4: HASH[1:]}),
        ("max-limit-array", "an array", {5: ["USD", 1]}),
        ("max-limit-2-63", "2^63 - 1 is the most", {5: {0: "USD", 1: 2**63}}),
        ("max-limit-without-amount", "how much", {5: {0: "USD"}}),
        ("max-limit-asset", "codes are capital letters", {5: {0: "usd", 1: 1}}),
        ("latest-0", "times begin at 1", {6: 0}),
        ("latest-beyond-9999", "past the last second that has a date", {6: LATEST + 1}),
        ("latest-text", "a text", {6: "2027"}),
    ):
        beyond(name, why + "; a holder does not look at it", {}, inner, "ok")
    return v


def signatures():
    """Right in form, and signed by nobody, or for something else."""
    v = Records()
    fields_of = payload_of()
    payload = cbor(fields_of)
    right = seal("record/1", payload, GRID)
    s = "signature"
    message = to_be_signed("record/1", GRID.public, payload)
    v.raw("flipped-in-r", "one bit", right[:-64] + bytes([right[-64] ^ 1]) + right[-63:], s)
    v.raw("flipped-in-s", "one bit", right[:-32] + bytes([right[-32] ^ 1]) + right[-31:], s)
    altered = cbor(payload_of({6: "altered"}))
    v.raw("altered-payload", "the signature of another payload", envelope(altered, right[-64:]), s)
    v.raw("zeros", "64 zeros", envelope(payload, bytes(64)), s)
    v.raw("another-grid", "the record of one grid offered as another's", right, s, grid=OTHER)
    v.signed("by-another-key", "a key that is not the grid's", payload_of(), s, key=OTHER)
    v.signed("by-publisher-with-serial", "a serial says that the grid key signed", payload_of(), s, key=PUBLISHER)
    v.signed("by-grid-with-delegation", "a delegation says that the publisher signed", delegated(), s, key=GRID)
    v.signed("by-another-publisher", "a publisher that the delegation does not name", delegated(), s, key=OTHER)
    v.raw("as-delegation", "made for another type of object", seal("delegation/1", payload, GRID), s)
    v.raw("as-record-2", "made for another version of the type", seal("record/2", payload, GRID), s)
    aad = b"lafs-clearinghouse/record/1\0"
    for name, why, structure in (
        ("aad-other-key", "another key in the external data", to_be_signed("record/1", OTHER.public, payload)),
        ("aad-no-key", "no key in the external data", cbor(["Signature1", PROTECTED, aad, payload])),
        ("aad-empty", "no external data", cbor(["Signature1", PROTECTED, b"", payload])),
        (
            "aad-without-nul",
            "no octet 0 between type and key",
            cbor(["Signature1", PROTECTED, aad[:-1] + GRID.public, payload]),
        ),
        (
            "context-signature",
            "the context of COSE_Sign",
            cbor(["Signature", PROTECTED, b"", aad + GRID.public, payload]),
        ),
        ("bare-payload", "over the bare payload", payload),
        ("bare-envelope", "over the envelope's head and payload", right[:-66]),
        ("bare-json", "what Tahoe's grid-manager signs with the same key", TAHOE_CERTIFICATE),
        ("hashed", "over the SHA-256 of what belongs there", identity("record/1", GRID.public, payload)),
    ):
        v.raw(name, why, envelope(payload, GRID.sign(structure)), s)
    ph = b"SigEd25519 no Ed25519 collisions\1\0"
    v.raw("prehashed", "Ed25519ph", envelope(payload, GRID.sign(hashlib.sha512(message).digest(), context=ph)), s)
    v.raw(
        "plus-order",
        "S + L: the equation holds, and there would be two signatures",
        envelope(payload, plus_order(right[-64:])),
        s,
    )
    v.raw(
        "neutral-r",
        "R is the neutral element: the equation holds, and the nonce is known to all",
        envelope(payload, GRID.sign_with_neutral(message, NEUTRAL_BYTES)),
        s,
    )
    v.raw(
        "neutral-r-again",
        "the same in a second encoding",
        envelope(payload, GRID.sign_with_neutral(message, NEUTRAL_AGAIN)),
        s,
    )
    mixed = delegated({}, {}, MIXED)
    v.signed(
        "cofactor",
        "a key with a small-order part: the equation holds only when multiplied by 8",
        mixed,
        s,
        key=MIXED,
        wanted=lambda c: c % 8 != 0,
    )
    return v
