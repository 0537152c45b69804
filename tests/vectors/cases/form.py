"""Bytes in another form than the one."""

import json

from .common import GRID, HASH, ISSUED, SPKI, TAHOE_CERTIFICATE, Records, payload_of
from .forge import (
    ENVELOPE_HEAD,
    PROTECTED,
    Raw,
    cbor,
    head,
    seal,
)


def envelopes():
    """Bytes that are no envelope, or one too large."""
    v = Records()
    payload = cbor(payload_of({6: "cut me off"}))
    right = seal("record/1", payload, GRID)
    signature = right[-64:]
    e = "envelope"
    v.raw("empty", "no bytes at all", b"", "empty")
    for at in (
        1,
        2,
        5,
        6,
        7,
        8,
        40,
        len(right) - 67,
        len(right) - 66,
        len(right) - 65,
        len(right) - 64,
        len(right) - 1,
    ):
        v.raw(f"cut-off-after-{at}", "an end that comes too early", right[:at], e)
    v.raw("padded", "one octet after the end", right + b"\0", e)
    v.raw("padded-with-itself", "two records are not one", right + right, e)
    full = payload_of({64: bytes(600)})
    full[64] = bytes(600 + 996 - len(seal("record/1", cbor(full), GRID)))
    v.raw("996-octets", "one octet too many, and otherwise right", seal("record/1", cbor(full), GRID), "too-big")
    v.raw("65536-octets", "far too many", right + bytes(65_536 - len(right)), "too-big")
    v.raw("tagged", "COSE_Sign1 with its tag 18: a second form of one object", b"\xd2" + right, e)
    v.raw("tagged-twice", "a tag around the tag", b"\xd9\xd9\xf7\xd2" + right, e)
    v.raw("unprotected-entry", "a header that is not signed", right[:5] + cbor({4: b"key"}) + right[6:], e)
    v.raw("unprotected-indefinite", "an empty map of indefinite length", right[:5] + b"\xbf\xff" + right[6:], e)

    def protected(name, why, item, inner=None):
        structure = cbor(["Signature1", inner or PROTECTED, b"lafs-clearinghouse/record/1\0" + GRID.public, payload])
        v.raw(name, why, b"\x84" + item + b"\xa0" + cbor(payload) + cbor(GRID.sign(structure)), e)

    for name, why, inner in (
        ("protected-empty", "no algorithm", b""),
        ("protected-es256", "ECDSA", b"\xa1\x01\x26"),
        ("protected-long-value", "-8 in two octets", b"\xa1\x01\x38\x07"),
        ("protected-long-map", "the map's head in two octets", b"\xb8\x01\x01\x27"),
        ("protected-second-entry", "a content type", b"\xa2\x01\x27\x03\x00"),
        ("protected-ed25519", "-19, the later number of the algorithm", b"\xa1\x01\x32"),
    ):
        protected(name, why + "; signed as it stands", cbor(inner), inner)
    protected("protected-long-string", "the byte string's head in two octets", b"\x58\x03" + PROTECTED)
    protected("protected-as-map", "a map where a byte string belongs", PROTECTED)
    v.raw("array-of-3", "no signature", b"\x83" + right[1:-66], e)
    v.raw("array-of-5", "a fifth element", b"\x85" + right[1:] + b"\0", e)
    v.raw("array-long", "the array's head in two octets", b"\x98\x04" + right[1:], e)
    v.raw("array-indefinite", "an array of indefinite length", b"\x9f" + right[1:] + b"\xff", e)
    v.raw("payload-detached", "nil in place of the payload", ENVELOPE_HEAD + b"\xf6" + cbor(signature), e)
    v.raw(
        "payload-long",
        "the payload's length in two octets where one does",
        ENVELOPE_HEAD + head(2, len(payload), 2) + payload + cbor(signature),
        e,
    )
    v.raw(
        "payload-longest",
        "the payload's length in eight octets",
        ENVELOPE_HEAD + head(2, len(payload), 8) + payload + cbor(signature),
        e,
    )
    v.raw(
        "payload-indefinite",
        "the payload in chunks",
        ENVELOPE_HEAD + b"\x5f" + cbor(payload) + b"\xff" + cbor(signature),
        e,
    )
    v.raw(
        "payload-text",
        "the payload as a text string",
        ENVELOPE_HEAD + head(3, len(payload)) + payload + cbor(signature),
        e,
    )
    v.raw("payload-as-map", "the payload not wrapped in a byte string", ENVELOPE_HEAD + payload + cbor(signature), e)
    v.raw(
        "payload-claims-2-64",
        "a length that nobody can hold",
        ENVELOPE_HEAD + head(2, 2**64 - 1) + payload + cbor(signature),
        e,
    )
    v.raw("signature-63", "one octet short, and its length says so", right[:-66] + cbor(signature[:-1]), e)
    v.raw("signature-65", "one octet more, and its length says so", right[:-66] + cbor(signature + b"\0"), e)
    v.raw(
        "signature-long",
        "the signature's length in two octets where one does",
        right[:-66] + head(2, 64, 2) + signature,
        e,
    )
    v.raw("signature-text", "the signature as a text string", right[:-66] + head(3, 64) + signature, e)
    v.raw("bare-payload", "no envelope", payload, e)
    certificate = json.dumps({"certificate": TAHOE_CERTIFICATE.decode(), "signature": "aaaa"}).encode()
    v.raw("tahoe-certificate-file", "the JSON that Tahoe's grid-manager writes", certificate, e)
    v.raw("json-view", "the JSON view is not the record", b'{"grid_id":"pub-v0-"}', e)
    v.raw("zeros", "a block of zeros", bytes(200), e)
    return v


def forms():
    """Payloads in a form that is not deterministic CBOR of the subset."""
    v = Records()
    base = payload_of()

    def changed(name, why, changes):
        v.bad(name, why, {key: Raw(value) for key, value in changes.items()}, "non-canonical")

    def entry(key, value):
        return cbor(key) + cbor(value)

    whole = cbor(base)
    for width in (1, 2, 4, 8):
        changed(f"format-in-{width + 1}-octets", "an integer longer than it need be", {0: head(0, 1, width)})
    changed("time-in-9-octets", "an integer longer than it need be", {2: head(0, ISSUED, 8)})
    v.payload("map-key-in-2-octets", "a map key longer than it need be", whole.replace(b"\xa6\x00", b"\xa6\x18\x00", 1))
    v.payload("map-head-in-2-octets", "a map's length longer than it need be", b"\xb8\x06" + whole[1:])
    changed("text-length-in-2-octets", "a length longer than it need be", {6: head(3, 4, 1) + b"grid"})
    changed("bytes-length-in-3-octets", "a length longer than it need be", {12: head(2, 32, 2) + HASH})
    changed("array-length-in-2-octets", "a length longer than it need be", {7: head(4, 1, 1) + cbor("tel:1")})
    v.payload("map-indefinite", "a map of indefinite length", b"\xbf" + whole[1:] + b"\xff")
    changed("array-indefinite-inside", "an array of indefinite length", {7: b"\x9f" + cbor("tel:1") + b"\xff"})
    changed("text-indefinite", "a text in chunks", {6: b"\x7f" + cbor("grid") + b"\xff"})
    changed("bytes-indefinite", "a byte string in chunks", {12: b"\x5f" + cbor(HASH) + b"\xff"})
    v.payload(
        "key-order",
        "keys 0 and 1 exchanged",
        b"\xa6" + entry(1, base[1]) + entry(0, 1) + whole[1 + len(entry(0, 1)) + len(entry(1, base[1])) :],
    )
    v.payload("key-twice", "key 0 twice, with the same value", b"\xa7" + entry(0, 1) + whole[1:])
    v.payload("key-twice-unknown", "an ignorable key twice", b"\xa8" + whole[1:] + entry(64, 1) + entry(64, 2))
    changed("key-order-in-unknown", "keys ascend in a map that nobody knows, too", {64: b"\xa2\x01\x00\x00\x00"})
    changed(
        "key-order-in-gateway",
        "and in nested maps",
        {8: b"\x81\xa3" + entry(1, 443) + entry(0, "gw.example") + entry(2, SPKI)},
    )
    v.payload("key-text", "a text as a map key", b"\xa7" + whole[1:] + cbor("nickname") + cbor("grid"))
    v.payload("key-bytes", "a byte string as a map key", b"\xa7" + whole[1:] + cbor(b"\x40") + cbor(0))
    v.payload("key-bool", "true as a map key, which some languages take for 1", b"\xa7" + whole[1:] + b"\xf5\x00")
    v.payload("key-negative", "a negative map key", b"\xa7" + whole[1:] + b"\x20\x00")
    changed("key-text-in-unknown", "a text as a map key, where nobody looks", {64: b"\xa1" + cbor("k") + cbor(0)})
    for name, why, item in (
        ("negative", "a negative integer", b"\x20"),
        ("negative-large", "the lowest", b"\x3b" + b"\xff" * 8),
        ("float-16", "a float", b"\xf9\x3c\x00"),
        ("float-32", "a float", b"\xfa\x3f\x80\x00\x00"),
        ("float-64", "a float", b"\xfb\x3f\xf0" + bytes(6)),
        ("null", "null: what is absent is left out", b"\xf6"),
        ("undefined", "undefined", b"\xf7"),
        ("simple-16", "another simple value", b"\xf0"),
        ("simple-two-octets", "false in two octets", b"\xf8\x14"),
        ("simple-32", "a simple value in two octets", b"\xf8\x20"),
        ("break", "the end of what never began", b"\xff"),
        ("tag", "a tag", b"\xc1\x01"),
        ("tag-bignum", "a big number", b"\xc2\x41\x01"),
        ("reserved-head", "a reserved head", b"\x1c"),
    ):
        changed(f"{name}-in-format", why + ", in a field that everyone knows", {0: item})
        changed(f"{name}-in-unknown", why + ", in a field that nobody knows", {64: item})
    changed("float-in-rate", "money is never a float", {9: b"\x81\xa2" + entry(0, "USD") + b"\x01\xf9\x3c\x00"})
    changed("depth-5", "arrays in arrays, the payload map counted as 1", {64: b"\x81\x81\x81\x81\x00"})
    changed("depth-5-maps", "maps in maps", {64: b"\xa1\x00\xa1\x00\xa1\x00\xa0"})
    changed("depth-900", "as deep as a record can be", {64: b"\x81" * 700 + b"\x00"})
    for name, why, octets in (
        ("latin-1", "a text that is not UTF-8", b"caf\xe9"),
        ("cut-off", "UTF-8 that ends inside a character", b"caf\xc3"),
        ("overlong", "a character in more octets than it needs", b"a\xc0\xaf"),
        ("surrogate", "half a surrogate pair", b"a\xed\xa0\x80"),
        ("beyond", "beyond U+10FFFF", b"a\xf4\x90\x80\x80"),
    ):
        changed(f"utf8-{name}", why, {6: head(3, len(octets)) + octets})
    changed("utf8-in-unknown", "a text that is not UTF-8 where nobody looks", {64: b"\x61\xff"})
    v.payload("payload-padded", "one octet after the map", whole + b"\0")
    v.payload("payload-twice", "two maps", whole + whole)
    v.payload("payload-empty", "no octet", b"")
    v.payload("payload-cut-off", "the map ends inside its last value", whole[:-1])
    v.payload("payload-claims-an-entry-more", "seven entries are claimed and six are there", b"\xa7" + whole[1:])
    v.payload("payload-claims-an-entry-less", "five entries are claimed and six are there", b"\xa5" + whole[1:])
    changed("text-claims-more", "a text longer than the payload", {64: head(3, 1000) + b"x"})
    changed("bytes-claim-2-64", "a length that nobody can hold", {64: head(2, 2**64 - 1)})
    changed("array-claims-2-64", "a count that nobody can hold", {64: head(4, 2**64 - 1)})
    changed("map-claims-2-64", "a count that nobody can hold", {64: head(5, 2**64 - 1)})
    v.payload(
        "payload-tahoe-certificate", "the JSON that Tahoe's grid-manager signs, in our envelope", TAHOE_CERTIFICATE
    )
    return v
