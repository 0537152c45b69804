"""Records that are right: now, for a later program, or at another time."""

import ipaddress

from .common import (
    CLEARING,
    DAY,
    EXPIRES,
    FULL,
    FURL,
    GATEWAY,
    GRID,
    HASH,
    HOUR,
    IP6,
    ISSUED,
    LATEST,
    LONG_NAME,
    MIXED,
    MOST,
    NEXT,
    NOW,
    OTHER,
    QUIC,
    TCP,
    UDP,
    Records,
    delegated,
    gateway,
    node,
    payload_of,
    peer,
    rate,
    spender,
)
from .forge import (
    cbor,
    seal,
)


def good():
    """Records that are right."""
    v = Records()
    v.good("minimal", "keys 0 to 5 and nothing else")
    v.good("full", "most fields at once, about two of each", FULL)
    for key, value in FULL.items():
        v.good(f"only-key-{key}", f"key {key} alone: every optional field is optional by itself", {key: value})
    v.good("format-1-unknown-key-64", "the first key that may be ignored", {64: "later words"})
    v.good("unknown-key-largest", "the largest key there is", {2**64 - 1: 0})
    v.good(
        "unknown-key-any-shape",
        "an unknown value may be empty, or nested to the allowed depth of 4, the payload map counted",
        {70: {0: [], 1: [{}, [0]], 2: "", 3: b"", 4: True, 2**32: 2**64 - 1}},
    )
    v.good(
        "unknown-keys-everywhere",
        "keys from 64 on are ignored in every map",
        {
            8: [gateway({3: GATEWAY.public, 4: 4, 5: {0: "USD", 1: 5, 64: 1}, 99: [1]})],
            9: [rate({4: {0: 1, 1: ISSUED + 1, 64: b""}, 64: "x"})],
            10: [node({64: False})],
            64: 1,
        },
    )
    nickname = "é" * 32
    v.good("nickname-64-octets", "64 octets are the most; they are octets and not characters", {6: nickname})
    v.good("nickname-one-character", "the shortest", {6: "g"})
    v.good(
        "nickname-inner-spaces",
        "white space inside is allowed, U+3000 too; so are U+200D and an emoji",
        {6: "a b\u3000c \U0001f468\u200d\U0001f469"},
    )
    v.good(
        "contact-every-scheme",
        "four of the five schemes",
        {7: ["mailto:a@b.example", "https://b.example", "xmpp:a@b.example", "matrix:u/a:b.example"]},
    )
    v.good("contact-tel-shortest", "the fifth scheme, with one character after it", {7: ["tel:1", "tel:2"]})
    v.good("contact-128-octets", "128 octets are the most", {7: ["https://" + "x" * 120]})
    v.good("gateway-ipv6", "printed in brackets", {8: [gateway({0: ipaddress.ip_address("2001:db8::7").packed})]})
    v.good(
        "gateway-private-address",
        "whether an address may be dialled is no matter of validity",
        {8: [gateway({0: bytes([127, 0, 0, 1])}), gateway({0: bytes([10, 0, 0, 1])})]},
    )
    v.good(
        "gateway-longest-host",
        "128 octets, labels of 63",
        {8: [gateway({0: f"{'a' * 63}.{'b' * 61}.1c"}), gateway({0: "localhost"})]},
    )
    v.good(
        "gateway-host-labels",
        "digits and inner hyphens; only the last label must not be all digits",
        {8: [gateway({0: "4.3-2--1.x1"})]},
    )
    v.good("gateway-ports", "the lowest and the highest port", {8: [gateway({1: 1}), gateway({1: 65_535})]})
    v.good("gateway-furl", "a Foolscap FURL in place of host, port and SPKI hash", {8: [{6: FURL}]})
    v.good(
        "gateway-furl-256-octets",
        "256 octets are the most; several hints",
        {8: [{6: (FURL[:38] + "tcp:[2001:db8::1]:1," + FURL[38:] + "x" * 256)[:256]}]},
    )
    v.good(
        "gateway-furl-other-hints",
        "hints of another kind, and addresses",
        {8: [{6: FURL.replace("tcp:", "tor:abc.onion:80,tcp:203.0.113.7:80,tcp:[2001:db8::7]:80,tcp:")}]},
    )
    v.good(
        "gateway-furl-long-hint",
        "the highest port; a name in a hint may exceed 128 octets",
        {8: [{6: FURL.replace("gw.grid.example:3457", f"{'a' * 63}.{'b' * 63}.example:65535")}]},
    )
    v.good(
        "gateway-furl-mapped-hint",
        "an IPv4 address inside an IPv6 one, in its one form",
        {8: [{6: FURL.replace("gw.grid.example", "[::ffff:203.0.113.7]")}]},
    )
    v.good("gateway-furl-with-key", "a FURL and a key", {8: [{3: GATEWAY.public, 4: 9, 6: FURL}]})
    v.good("gateway-only-spends", "a key and no address", {8: [spender()]})
    v.good(
        "gateway-terms-without-address",
        "terms may be signed by a key that serves nothing",
        {8: [spender({4: 6, 5: {0: "EUR", 1: 0}})]},
    )
    v.good(
        "gateway-address-without-serve",
        "an address does not oblige to serve",
        {8: [gateway({3: GATEWAY.public, 4: 2})]},
    )
    v.good(
        "gateway-key-without-role", "a key that may neither spend nor sign terms", {8: [gateway({3: GATEWAY.public})]}
    )
    v.good("gateway-only-locator", "without a key", {8: [gateway({4: 8})]})
    v.good(
        "gateway-all-roles",
        "with the largest limit",
        {8: [gateway({3: GATEWAY.public, 4: 15, 5: {0: "BTC", 1: MOST}})]},
    )
    v.good(
        "gateways-four",
        "the most there may be; two differ in the port alone",
        {8: [gateway({1: n}) for n in (1, 2, 3, 4)]},
    )
    v.good(
        "gateway-mixed-order-key",
        "a key with a small-order part is a key as long as it is not of small order itself",
        {8: [gateway({3: MIXED.public})]},
    )
    v.good("rate-free", "free is said: XXX at price 0", {9: [{0: "XXX", 1: 0}]})
    v.good("rate-free-next", "XXX may only stay free", {9: [{0: "XXX", 1: 0, 4: {0: 0, 1: ISSUED + DAY}}]})
    v.good("rate-zero", "another asset may cost nothing too", {9: [rate({1: 0})]})
    v.good(
        "rate-highest-price",
        "2^63 - 1, so that every language's signed 64-bit integer holds it",
        {9: [rate({1: MOST})]},
    )
    v.good("rate-begun-before", "a line may have begun before this record", {9: [rate({2: 1})]})
    v.good("rate-begins-later", "or begin after it", {9: [rate({2: ISSUED + DAY})]})
    v.good(
        "rate-begins-when-its-commitment-ends",
        "not_before equal to committed_until: an empty commitment",
        {9: [rate({2: ISSUED + DAY, 3: ISSUED + DAY})]},
    )
    v.good("rate-begins-after-expiry", "and even when this record is over", {9: [rate({2: EXPIRES + DAY})]})
    v.good("rate-shortest-commitment", "one second after issued_at", {9: [rate({3: ISSUED + 1})]})
    v.good("rate-longest-commitment", "400 days after issued_at", {9: [rate({3: ISSUED + 400 * DAY})]})
    v.good(
        "rate-next-higher-at-the-end",
        "a higher price from the very end of the commitment, expires_at by default",
        {9: [rate({4: {0: 20_000_001, 1: EXPIRES}})]},
    )
    v.good(
        "rate-next-lower-at-once",
        "a lower price may begin while the higher is committed",
        {9: [rate({4: {0: 19_999_999, 1: ISSUED + 1}})]},
    )
    v.good("rate-next-equal", "an equal price is not a higher one", {9: [rate({4: {0: 20_000_000, 1: ISSUED + 1}})]})
    v.good(
        "rates-four-ascending",
        "by the octets of the asset's code",
        {9: [rate({0: asset}) for asset in ("BTC", "JPY", "USD", "ZEC")]},
    )
    v.good("node-tcp", "TCP over IPv6", {10: [node({1: [IP6 + bytes(15) + b"\x01" + TCP + b"\x00\x01"]})]})
    v.good(
        "node-names",
        "dns4 and dns6 names",
        {
            10: [
                node(
                    {
                        1: [
                            b"\x36\x0cn1.x.example" + UDP + b"\x0f\xa1" + QUIC,
                            b"\x37\x09n2.example"[:2] + b"n.example" + TCP + b"\x0f\xa1",
                        ]
                    }
                )
            ]
        },
    )
    v.good(
        "node-dnsaddr",
        "dnsaddr stands alone; dns before a transport",
        {10: [node({1: [b"\x38\x09x.example", b"\x35\x09x.example" + TCP + b"\x0f\xa1"]})]},
    )
    v.good("node-address-128-octets", "the most", {10: [node({1: [b"\x35\x7b" + LONG_NAME + TCP + b"\0\1"]})]})
    v.good("node-shortest-peer-id", "an identity multihash of nothing", {10: [node({0: b"\0\0"})]})
    v.good("node-hashed-peer-id", "the SHA-256 of a larger key", {10: [node({0: b"\x12\x20" + HASH})]})
    v.good("node-longest-peer-id", "42 octets are the most", {10: [node({0: b"\x00\x28" + bytes(range(40))})]})
    v.good("nodes-four", "the most there may be", {10: [node({0: peer(n)}) for n in (4, 3, 2, 1)]})
    v.good("clearing-itself", "two, and a grid may clear for itself", {11: [CLEARING.public, GRID.public]})
    v.good("work-largest", "any nonce passes while 0 bits are asked", {16: 2**64 - 1})
    v.good("sequence-highest-in-its-second", "sequence / 1000, rounded down, is issued_at", {1: ISSUED * 1000 + 999})
    v.good("serial-long-ago", "the serial has nothing to do with issued_at", {5: 1})
    v.good("lifetime-one-second", "the shortest", {3: ISSUED + 100}, now=ISSUED + 99)
    v.good("lifetime-30-days", "the longest of an ordinary record", {3: ISSUED + 30 * DAY})
    v.good("lowest-values", "the first second that a record may be issued in", {1: 1000, 2: 1, 3: 2, 5: 1}, now=1)
    v.good("highest-values", "the last", {1: LATEST * 1000 - 1, 2: LATEST - 1, 3: LATEST, 5: LATEST}, now=LATEST - 1)
    pad = 995 - len(seal("record/1", cbor(payload_of({64: bytes(256)})), GRID)) + 256
    v.good("995-octets", "the most there may be, envelope included", {64: bytes(pad)})
    v.good("withdrawn", "says no more than that it is withdrawn", {4: True})
    v.good(
        "withdrawn-10-years",
        "3,660 days; with all that it may carry besides",
        {3: ISSUED + 3660 * DAY, 4: True, 12: HASH, 13: HASH, 16: 1, 64: b"x"},
        now=ISSUED + 3000 * DAY,
    )
    pad = 256 - len(seal("record/1", cbor(payload_of({4: True, 64: bytes(60)})), GRID)) + 60
    v.good("withdrawn-256-octets", "the most for a withdrawn record", {4: True, 64: bytes(pad)})
    v.good("successor", "moved to another grid key", {14: NEXT.public})
    v.good(
        "successor-10-years",
        "it lives as long as a withdrawn one",
        {3: ISSUED + 3660 * DAY, 6: "moved", 14: NEXT.public},
    )
    v.good(
        "successor-and-predecessor", "in the middle of a chain", {12: HASH, 13: HASH, 14: NEXT.public, 15: OTHER.public}
    )
    v.signed("delegated", "signed by a publisher key", delegated())
    v.signed(
        "delegated-full",
        "what a publisher may say",
        delegated(
            {
                6: "g",
                8: [gateway({3: GATEWAY.public, 4: 7, 5: {0: "USD", 1: 500}})],
                9: [rate({3: ISSUED + 40 * DAY})],
                12: HASH,
                15: OTHER.public,
            },
            {4: HASH, 5: {0: "USD", 1: 500}, 6: ISSUED + 40 * DAY},
        ),
    )
    v.signed(
        "delegated-limit-in-a-second-gateway",
        "the limit is per gateway",
        delegated(
            {8: [spender({4: 6, 5: {0: "USD", 1: 1}}), spender({3: OTHER.public, 4: 4, 5: {0: "USD", 1: 500}})]},
            {5: {0: "USD", 1: 500}},
        ),
    )
    v.signed(
        "delegated-borders",
        "400 days; issued 2 h before the serial; expires with the delegation",
        delegated({3: ISSUED + 30 * DAY}, {1: ISSUED + 2 * HOUR, 3: ISSUED + 30 * DAY}),
    )
    v.signed("delegation-400-days", "the longest", delegated({}, {3: ISSUED + 400 * DAY}))
    v.signed("delegation-unknown-key-64", "may be ignored", delegated({}, {5: {0: "USD", 1: 0, 64: 0}, 64: [1]}))
    v.signed(
        "delegation-latest-commitment-is-not-after",
        "the default, written out",
        delegated({9: [rate({3: ISSUED + 365 * DAY})]}, {6: ISSUED + 365 * DAY}),
    )
    v.signed(
        "delegation-commitment-outlives-it",
        "the publisher may commit the grid beyond the delegation where it says so",
        delegated({9: [rate({3: ISSUED + 20 * DAY})]}, {3: ISSUED + 8 * DAY, 6: ISSUED + 20 * DAY}),
    )
    mixed = delegated({}, {}, MIXED)
    v.signed(
        "mixed-order-publisher",
        "a signature under a key with a small-order part, which the equation without the cofactor passes",
        mixed,
        key=MIXED,
        wanted=lambda challenge: challenge % 8 == 0,
    )
    v.good("another-nonce", "not the nonce of RFC 8032: a verifier cannot know", salt=b"another")
    v.good("issued-2-hours-ahead", "clocks may differ by 2 h", now=ISSUED - 2 * HOUR)
    v.good("last-second", "it expires in a second", now=EXPIRES - 1)
    v.good("serial-2-hours-ahead", "the serial may be as far ahead", {5: ISSUED + 2 * HOUR + 60})
    return v


def upgrade():
    """Records of later times: held by all, acted on by none of us."""
    v = Records()
    up = "upgrade"
    v.unreadable("format-2", "keys 0 to 5 are the same for ever", {0: 2}, up)
    v.unreadable("format-largest", "any format from 1 on", {0: 2**64 - 1}, up)
    v.unreadable(
        "format-2-other-fields",
        "a later format may give the keys from 6 on another meaning",
        {0: 2, 6: 1, 8: "x", 9: b""},
        up,
    )
    v.unreadable("format-2-withdrawn", "withdrawn means the same in every format", {0: 2, 4: True}, up)
    v.signed("format-2-delegated", "so does authority", delegated({0: 2}), "ok", up)
    for key in (17, 63):
        v.unreadable(f"unknown-key-{key}", "below 64 a reader must know a key", {key: 0}, up)
    v.unreadable("unknown-key-in-gateway", "in nested maps too", {8: [gateway({7: 0})]}, up)
    v.unreadable("unknown-key-in-limit", "in nested maps too", {8: [spender({5: {0: "USD", 1: 1, 2: 0}})]}, up)
    v.unreadable("unknown-key-in-rate", "in nested maps too", {9: [rate({5: 0})]}, up)
    v.unreadable("unknown-key-in-next-price", "in nested maps too", {9: [rate({4: {0: 1, 1: EXPIRES, 63: 0}})]}, up)
    v.unreadable("unknown-key-in-node", "in nested maps too", {10: [node({2: 0})]}, up)
    v.signed("unknown-key-in-delegation", "in the delegation too", delegated({}, {7: 0}), "ok", up)
    v.signed("unknown-key-in-max-limit", "in the delegation too", delegated({}, {5: {0: "USD", 1: 1, 2: 0}}), "ok", up)
    v.signed("delegation-format-2", "a delegation has its own format", delegated({}, {0: 2}), "ok", up)
    v.signed(
        "delegation-format-2-other-fields",
        "of which a holder knows keys 0 to 3",
        delegated({}, {0: 2, 4: 0, 5: True, 6: "x"}),
        "ok",
        up,
    )
    v.unreadable("role-unknown", "a bit that we do not know", {8: [gateway({4: 17})]}, up)
    v.unreadable("role-unknown-alone", "and no other", {8: [gateway({4: 16})]}, up)
    v.unreadable("role-unknown-highest", "bit 63", {8: [gateway({4: 2**63 + 1})]}, up)
    v.unreadable("asset-unknown", "its scale is unknown, so its price means nothing to us", {9: [rate({0: "ZZZ"})]}, up)
    v.unreadable("asset-unknown-five-letters", "the longest code", {9: [rate({0: "ZZZZZ"})]}, up)
    v.unreadable("asset-without-digits", "ISO 4217 gives gold no minor unit", {9: [rate({0: "XAU"})]}, up)
    v.unreadable("asset-unknown-in-limit", "an amount needs a scale too", {8: [spender({5: {0: "ZZZ", 1: 1}})]}, up)
    v.signed(
        "asset-unknown-in-max-limit", "an amount needs a scale too", delegated({}, {5: {0: "ZZZ", 1: 1}}), "ok", up
    )
    return v


def moments():
    """Right, and not now."""
    v = Records()
    e, f = "time-expired", "time-future"
    v.good("expired-this-second", "expires_at is the first second at which it is no more", now=EXPIRES, holder=e)
    v.good("expired-long-ago", "whatever it says", now=EXPIRES + 1000 * DAY, holder=e)
    v.good(
        "expired-withdrawn",
        "a withdrawn record ends too",
        {3: ISSUED + 3660 * DAY, 4: True},
        now=ISSUED + 3660 * DAY,
        holder=e,
    )
    v.signed("expired-delegated", "with its delegation", delegated({}, {3: EXPIRES}), e, now=EXPIRES)
    v.good("issued-in-future", "2 h and a second ahead", now=ISSUED - 2 * HOUR - 1, holder=f)
    v.good("issued-in-far-future", "years ahead", now=1, holder=f)
    v.good("issued-in-future-serial-not", "with an old serial", {5: 1}, now=ISSUED - 2 * HOUR - 1, holder=f)
    v.good("serial-in-future", "2 h and a second ahead", {5: NOW + 2 * HOUR + 1}, holder=f)
    v.good("serial-largest", "nobody can end all revocation", {5: LATEST}, holder=f)
    v.signed(
        "delegation-serial-in-future",
        "2 h and a second ahead of now, within 2 h of issued_at",
        delegated({1: (NOW + 10) * 1000, 2: NOW + 10}, {1: NOW + 2 * HOUR + 1}),
        f,
    )
    return v
