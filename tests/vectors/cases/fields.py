"""Fields with wrong values."""

from .common import (
    ADDRESS,
    ADDRESS_TCP,
    CLEARING,
    DAY,
    EXPIRES,
    FURL,
    GATEWAY,
    GRID,
    HASH,
    IP4,
    ISSUED,
    LATEST,
    LONG_NAME,
    NEXT,
    OTHER,
    P2P,
    PUBLISHER,
    QUIC,
    SPKI,
    TCP,
    UDP,
    WS,
    Records,
    gateway,
    node,
    payload_of,
    peer,
    rate,
    spender,
)
from .forge import (
    NEUTRAL_BYTES,
    OFF_CURVE,
    SECOND_ENCODINGS,
    SMALL_ORDER,
    cbor,
    grid_id,
    seal,
)


def holder_fields():
    """Keys 0 to 5 (and what a holder sees of 13 and 14) with values that nobody accepts."""
    v = Records()
    for key in range(6):
        v.bad(f"without-key-{key}", "keys 0 to 5 are mandatory", {key: None}, key=GRID)
    v.payload("payload-array", "an array where the map belongs", cbor([1, 2, 3]), "field")
    v.payload("payload-integer", "an integer where the map belongs", cbor(1), "field")
    v.payload("payload-empty-map", "a map without entries", cbor({}), "field")
    v.bad("format-0", "formats begin at 1", {0: 0})
    for key, name in ((0, "format"), (1, "sequence"), (2, "issued-at"), (3, "expires-at")):
        v.bad(f"{name}-text", "a text where an integer belongs", {key: "1"})
    v.bad("withdrawn-integer", "an integer where true or false belongs", {4: 0})
    v.bad("authority-text", "neither a serial nor a delegation", {5: grid_id(PUBLISHER.public)}, key=GRID)
    v.bad("authority-bool", "neither a serial nor a delegation", {5: True}, key=GRID)
    v.bad("sequence-too-low", "one below issued_at * 1000", {1: ISSUED * 1000 - 1})
    v.bad("sequence-too-high", "one above issued_at * 1000 + 999", {1: ISSUED * 1000 + 1000})
    v.bad("sequence-zero", "far below", {1: 0})
    v.bad("sequence-largest", "nobody can jump to the end", {1: 2**64 - 1})
    v.bad("sequence-in-seconds", "not multiplied", {1: ISSUED})
    v.bad("issued-at-0", "times begin at 1", {1: 0, 2: 0, 3: 1})
    v.bad(
        "issued-at-beyond-9999",
        "past the last second that has a date of four digits",
        {1: (LATEST + 1) * 1000, 2: LATEST + 1, 3: LATEST + 2},
    )
    v.bad(
        "expires-at-beyond-9999",
        "past the last second that has a date of four digits",
        {1: LATEST * 1000, 2: LATEST, 3: LATEST + 1},
    )
    v.bad("times-largest", "where a sum would overflow", {1: 2**64 - 1, 2: 2**64 - 1, 3: 2**64 - 1})
    v.bad("expires-when-issued", "no lifetime", {3: ISSUED})
    v.bad("expires-before-issued", "a negative lifetime", {3: ISSUED - 1})
    v.bad("lifetime-30-days-and-a-second", "an ordinary record lives at most 30 days", {3: ISSUED + 30 * DAY + 1})
    v.bad("lifetime-predecessor", "a predecessor is no reason to live longer", {3: ISSUED + 31 * DAY, 15: OTHER.public})
    v.bad("lifetime-format-2", "the same in every format", {0: 2, 3: ISSUED + 31 * DAY})
    v.bad("lifetime-withdrawn", "10 years and a second", {3: ISSUED + 3660 * DAY + 1, 4: True})
    v.bad("lifetime-successor", "10 years and a second", {3: ISSUED + 3660 * DAY + 1, 14: NEXT.public})
    v.bad("serial-0", "times begin at 1", {5: 0})
    v.bad("serial-beyond-9999", "past the last second that has a date of four digits", {5: LATEST + 1})
    big = "too-big"
    pad = 257 - len(seal("record/1", cbor(payload_of({4: True, 64: bytes(60)})), GRID)) + 60
    v.bad("withdrawn-257-octets", "a record that lives for years is small", {4: True, 64: bytes(pad)}, big)
    v.bad("withdrawn-257-octets-short-lived", "however short it lives", {3: ISSUED + 100, 4: True, 64: bytes(pad)}, big)
    pad = 257 - len(seal("record/1", cbor(payload_of({14: NEXT.public, 64: bytes(40)})), GRID)) + 40
    v.bad("successor-257-octets", "a record that lives for years is small", {14: NEXT.public, 64: bytes(pad)}, big)
    v.bad(
        "successor-257-octets-format-2",
        "a holder goes by key 14, in every format",
        {0: 2, 14: "later", 64: bytes(300)},
        big,
    )
    v.signed(
        "successor-of-another-shape",
        "a holder sees that key 14 is there, and not what it says",
        payload_of({3: ISSUED + 31 * DAY, 14: "x"}),
        "ok",
        "field",
    )
    return v


def fields():
    """Keys 6 to 16 with values that a holder does not look at and no reader accepts."""
    v = Records()

    def each(prefix, cases):
        for name, why, changes in cases:
            v.unreadable(f"{prefix}-{name}", why, changes)

    each(
        "nickname",
        [
            ("empty", "what is empty is left out", {6: ""}),
            ("65-octets", "64 octets are the most", {6: "x" * 65}),
            ("65-octets-63-characters", "octets and not characters", {6: "é" * 2 + "x" * 61}),
            ("bytes", "a byte string", {6: b"grid"}),
            ("newline", "a control character", {6: "a\nb"}),
            ("nul", "a control character", {6: "a\0b"}),
            ("escape", "would reach a terminal", {6: "a\x1b[31m"}),
            ("delete", "U+007F", {6: "a\x7f"}),
            ("c1", "U+009B, a control of the second set", {6: "a\u009b31m"}),
            *(
                (f"bidi-{ord(c):04x}", "would turn what is printed after it", {6: f"a{c}b"})
                for c in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
            ),
            ("line-separator", "U+2028", {6: "a\u2028b"}),
            ("paragraph-separator", "U+2029", {6: "a\u2029b"}),
            ("space-only", "nothing but white space", {6: " "}),
            ("leading-space", "white space in front", {6: " grid"}),
            ("trailing-space", "white space behind", {6: "grid "}),
            ("trailing-wide-space", "U+3000 behind", {6: "grid\u3000"}),
            ("no-break-space-only", "U+00A0 is white space", {6: "\u00a0"}),
        ],
    )
    each(
        "contact",
        [
            ("empty", "no empty arrays", {7: []}),
            ("five", "4 are the most", {7: [f"tel:{n}" for n in range(5)]}),
            ("twice", "entries are distinct", {7: ["tel:1", "tel:1"]}),
            ("empty-text", "no empty texts", {7: [""]}),
            ("text", "a text where the array belongs", {7: "tel:1"}),
            ("129-octets", "128 octets are the most", {7: ["https://" + "x" * 121]}),
            ("http", "a scheme that is not listed", {7: ["http://grid.example"]}),
            ("javascript", "a scheme that is not listed", {7: ["javascript:alert(1)"]}),
            ("upper-case", "schemes in lower case", {7: ["HTTPS://grid.example"]}),
            ("scheme-alone", "nothing after the scheme", {7: ["mailto:"]}),
            ("no-scheme", "no scheme", {7: ["ops@grid.example"]}),
            ("space", "a space", {7: ["mailto:a b@grid.example"]}),
            ("angle", "a character that ends a link", {7: ["https://grid.example/<b>"]}),
            ("quote", "a character that ends a link", {7: ['https://grid.example/"']}),
            ("not-ascii", "not ASCII", {7: ["https://gr\u00eed.example"]}),
            ("control", "a control character", {7: ["tel:1\r\n2"]}),
            ("second-wrong", "each entry counts", {7: ["tel:1", "ftp:x"]}),
            ("number", "not a text", {7: [5]}),
        ],
    )
    each(
        "gateway",
        [
            ("list-empty", "no empty arrays", {8: []}),
            ("five", "4 are the most", {8: [gateway({1: n}) for n in range(1, 6)]}),
            ("not-a-map", "a text", {8: ["gw.example"]}),
            ("empty", "neither address nor key", {8: [{}]}),
            ("only-roles", "neither address nor key", {8: [{4: 2}]}),
            ("without-host", "host, port and SPKI hash come together", {8: [gateway({0: None})]}),
            ("without-port", "host, port and SPKI hash come together", {8: [gateway({1: None})]}),
            ("without-spki", "host, port and SPKI hash come together", {8: [gateway({2: None})]}),
            ("spki-and-key-only", "host, port and SPKI hash come together", {8: [spender({2: SPKI})]}),
            ("address-twice", "a FURL is an address of its own", {8: [gateway({6: FURL})]}),
            ("port-and-furl", "a FURL is an address of its own", {8: [{1: 443, 6: FURL}]}),
            ("port-0", "ports begin at 1", {8: [gateway({1: 0})]}),
            ("port-65536", "and end at 65,535", {8: [gateway({1: 65_536})]}),
            ("spki-31", "31 octets", {8: [gateway({2: SPKI[1:]})]}),
            ("spki-33", "33 octets", {8: [gateway({2: SPKI + b"x"})]}),
            ("key-31", "31 octets", {8: [gateway({3: GATEWAY.public[1:]})]}),
            ("key-text", "a key as text", {8: [gateway({3: grid_id(GATEWAY.public)})]}),
            ("host-empty", "no empty texts", {8: [gateway({0: ""})]}),
            ("host-ip-text", "an IP address belongs in 4 octets", {8: [gateway({0: "203.0.113.7"})]}),
            ("host-ip6-text", "an IP address belongs in 16 octets", {8: [gateway({0: "2001:db8::1"})]}),
            ("host-ip-5", "5 octets", {8: [gateway({0: bytes(5)})]}),
            ("host-ip-empty", "no octets", {8: [gateway({0: b""})]}),
            ("host-number", "an integer", {8: [gateway({0: 1})]}),
            (
                "host-4-in-6",
                "an IPv4 address inside an IPv6 one: a second form",
                {8: [gateway({0: bytes(10) + b"\xff\xff\xcb\x00\x71\x07"})]},
            ),
            ("host-upper-case", "a second form", {8: [gateway({0: "GW.grid.example"})]}),
            ("host-trailing-dot", "a second form", {8: [gateway({0: "gw.grid.example."})]}),
            ("host-leading-dot", "an empty label", {8: [gateway({0: ".example"})]}),
            ("host-two-dots", "an empty label", {8: [gateway({0: "gw..example"})]}),
            ("host-hyphen-first", "labels do not begin with a hyphen", {8: [gateway({0: "gw.-x.example"})]}),
            ("host-hyphen-last", "or end with one", {8: [gateway({0: "gw-.example"})]}),
            ("host-underscore", "letters, digits, hyphens", {8: [gateway({0: "g_w.example"})]}),
            ("host-label-64", "63 octets are the most", {8: [gateway({0: "a" * 64 + ".example"})]}),
            ("host-129", "128 octets are the most", {8: [gateway({0: f"{'a' * 63}.{'b' * 63}.c"})]}),
            ("host-digits-last", "looks like an IP address", {8: [gateway({0: "gw.1"})]}),
            ("host-hex-last", "some resolvers take it for a number", {8: [gateway({0: "gw.0x7f"})]}),
            ("host-unicode", "names in their ASCII form", {8: [gateway({0: "gw.gr\u00eed.example"})]}),
            ("host-port", "the port has its own field", {8: [gateway({0: "gw.example:443"})]}),
            ("roles-0", "no role at all", {8: [gateway({4: 0})]}),
            ("roles-1", "serve is what absence means", {8: [gateway({4: 1})]}),
            ("roles-text", "a text", {8: [gateway({4: "serve"})]}),
            ("roles-array", "an array", {8: [gateway({4: [1]})]}),
            ("key-serves-without-address", "to serve needs an address", {8: [spender({4: 3})]}),
            ("key-alone", "absent roles mean serve", {8: [spender({4: None})]}),
            ("key-locates-without-address", "to locate needs an address", {8: [spender({4: 10})]}),
            ("spends-without-key", "to spend needs a key", {8: [gateway({4: 3})]}),
            ("terms-without-key", "to sign terms needs a key", {8: [gateway({4: 5})]}),
            ("furl-spends-without-key", "to spend needs a key", {8: [{4: 2, 6: FURL}]}),
            ("limit-without-key", "a limit binds a key", {8: [gateway({5: {0: "USD", 1: 1}})]}),
            (
                "limit-without-role",
                "a limit is for who spends or signs terms",
                {8: [gateway({3: GATEWAY.public, 5: {0: "USD", 1: 1}})]},
            ),
            (
                "limit-for-locator",
                "a limit is for who spends or signs terms",
                {8: [gateway({3: GATEWAY.public, 4: 9, 5: {0: "USD", 1: 1}})]},
            ),
            ("limit-without-asset", "an amount of what", {8: [spender({5: {1: 1}})]}),
            ("limit-without-amount", "how much", {8: [spender({5: {0: "USD"}})]}),
            ("limit-2-63", "2^63 - 1 is the most", {8: [spender({5: {0: "USD", 1: 2**63}})]}),
            ("limit-array", "an array", {8: [spender({5: ["USD", 1]})]}),
            ("limit-asset-lower-case", "codes are capital letters", {8: [spender({5: {0: "usd", 1: 1}})]}),
            ("furl-257", "256 octets are the most", {8: [{6: FURL + "x" * (257 - len(FURL))}]}),
            ("furl-empty", "no empty texts", {8: [{6: ""}]}),
            ("furl-scheme", "not a FURL", {8: [{6: FURL.replace("pb:", "https:")}]}),
            ("furl-short-tub", "31 characters", {8: [{6: FURL.replace("a", "", 1)}]}),
            ("furl-upper-tub", "base32 in lower case", {8: [{6: FURL.replace("abc", "ABC")}]}),
            ("furl-no-name", "nothing after the slash", {8: [{6: FURL.removesuffix("gateway")}]}),
            ("furl-no-slash", "no name", {8: [{6: FURL.removesuffix("/gateway")}]}),
            ("furl-no-hints", "reachable nowhere", {8: [{6: FURL[:38] + "/gateway"}]}),
            ("furl-empty-hint", "a hint is empty", {8: [{6: FURL.replace("@", "@,")}]}),
            ("furl-hint-port-65536", "and end at 65,535", {8: [{6: FURL.replace(":3457", ":65536")}]}),
            (
                "furl-hint-ip6-bare",
                "an IPv6 address needs brackets",
                {8: [{6: FURL.replace("gw.grid.example", "2001:db8::7")}]},
            ),
            ("furl-hint-odd-address", "letters, digits and a few signs", {8: [{6: FURL.replace("@", "@tor:a!b,")}]}),
            ("furl-hint-odd-kind", "small letters and digits", {8: [{6: FURL.replace("@", "@Tor:a,")}]}),
            ("furl-hint-no-kind", "a hint is a kind and an address", {8: [{6: FURL.replace("tcp:", "")}]}),
            ("furl-hint-no-port", "TCP needs a port", {8: [{6: FURL.replace(":3457", "")}]}),
            ("furl-hint-port-0", "ports begin at 1", {8: [{6: FURL.replace(":3457", ":0")}]}),
            ("furl-hint-port-zero-padded", "a second form", {8: [{6: FURL.replace(":3457", ":03457")}]}),
            ("furl-hint-upper-case", "a second form", {8: [{6: FURL.replace("gw.grid", "GW.grid")}]}),
            (
                "furl-hint-ip6-second-form",
                "a second form",
                {8: [{6: FURL.replace("gw.grid.example", "[2001:db8:0::7]")}]},
            ),
            (
                "furl-hint-ip6-mapped-in-hexadecimal",
                "an IPv4 address inside an IPv6 one is written with dots",
                {8: [{6: FURL.replace("gw.grid.example", "[::ffff:cb00:7107]")}]},
            ),
            (
                "furl-hint-ip6-dotted",
                "dots are for IPv4 addresses inside IPv6 ones",
                {8: [{6: FURL.replace("gw.grid.example", "[2001:db8::203.0.113.7]")}]},
            ),
            ("furl-is-nurl", "the address of another protocol", {8: [{6: FURL + "#v=1"}]}),
            ("furl-space", "a space", {8: [{6: FURL + " x"}]}),
            ("furl-control", "a control character", {8: [{6: FURL + "\n"}]}),
            ("furl-not-ascii", "not ASCII", {8: [{6: FURL + "\u00e9"}]}),
            ("furl-bytes", "a byte string", {8: [{6: FURL.encode()}]}),
            ("twice", "entries are distinct", {8: [gateway(), gateway()]}),
            ("twice-unknown-differs", "distinct in what we know", {8: [gateway(), gateway({64: 1})]}),
            (
                "twice-unknown-differs-inside",
                "distinct in what we know, of the limit too",
                {8: [spender({5: {0: "USD", 1: 1}}), spender({5: {0: "USD", 1: 1, 64: 1}})]},
            ),
            ("second-wrong", "each entry counts", {8: [gateway(), gateway({1: 0})]}),
        ],
    )
    each(
        "rate",
        [
            ("list-empty", "no empty arrays", {9: []}),
            ("five", "4 are the most", {9: [rate({0: a}) for a in ("BTC", "EUR", "JPY", "USD", "ZEC")]}),
            ("not-a-map", "an array", {9: [["USD", 1]]}),
            ("without-asset", "a price of what", {9: [rate({0: None})]}),
            ("without-price", "no price", {9: [rate({1: None})]}),
            ("asset-two-letters", "codes have 3 to 5 letters", {9: [rate({0: "US"})]}),
            ("asset-six-letters", "codes have 3 to 5 letters", {9: [rate({0: "USDOLL"})]}),
            ("asset-lower-case", "codes are capital letters", {9: [rate({0: "usd"})]}),
            ("asset-digit", "codes are capital letters", {9: [rate({0: "US1"})]}),
            ("asset-greek", "ASCII letters", {9: [rate({0: "\u03a5SD"})]}),
            ("asset-empty", "no empty texts", {9: [rate({0: ""})]}),
            ("asset-bytes", "a byte string", {9: [rate({0: b"USD"})]}),
            ("price-2-63", "2^63 - 1 is the most", {9: [rate({1: 2**63})]}),
            ("price-text", "a text", {9: [rate({1: "1"})]}),
            ("descending", "lines ascend by asset", {9: [rate(), rate({0: "EUR"})]}),
            ("asset-twice", "one line for each asset", {9: [rate(), rate({1: 1})]}),
            ("twice", "one line for each asset", {9: [rate(), rate()]}),
            ("free-at-a-price", "XXX means free", {9: [{0: "XXX", 1: 1}]}),
            ("free-ends-in-a-price", "XXX means free", {9: [{0: "XXX", 1: 0, 4: {0: 1, 1: EXPIRES}}]}),
            ("not-before-default", "issued_at is what absence means", {9: [rate({2: ISSUED})]}),
            ("committed-default", "expires_at is what absence means", {9: [rate({3: EXPIRES})]}),
            ("not-before-0", "times begin at 1", {9: [rate({2: 0})]}),
            ("not-before-beyond-9999", "past the last second that has a date", {9: [rate({2: LATEST + 1})]}),
            (
                "not-before-after-commitment",
                "a commitment that ends before it begins",
                {9: [rate({2: ISSUED + 2 * DAY, 3: ISSUED + DAY})]},
            ),
            ("committed-when-issued", "a commitment ends after issued_at", {9: [rate({3: ISSUED})]}),
            (
                "committed-before-issued",
                "a commitment ends after issued_at",
                {9: [rate({2: ISSUED - 9, 3: ISSUED - 1})]},
            ),
            ("committed-400-days-and-a-second", "400 days are the most", {9: [rate({3: ISSUED + 400 * DAY + 1})]}),
            ("committed-largest", "where a sum would overflow", {9: [rate({3: 2**64 - 1})]}),
            (
                "next-when-line-begins",
                "the next price comes after the line's beginning",
                {9: [rate({2: EXPIRES, 4: {0: 1, 1: EXPIRES}})]},
            ),
            ("next-when-issued", "the line begins at issued_at by default", {9: [rate({4: {0: 1, 1: ISSUED}})]}),
            ("next-before-issued", "the line begins at issued_at by default", {9: [rate({4: {0: 1, 1: ISSUED - 1}})]}),
            (
                "next-higher-too-early",
                "a higher price breaks the record's own commitment",
                {9: [rate({3: ISSUED + 20 * DAY, 4: {0: 20_000_001, 1: ISSUED + 20 * DAY - 1}})]},
            ),
            (
                "next-higher-before-expiry",
                "the commitment lasts until expires_at by default",
                {9: [rate({4: {0: 20_000_001, 1: EXPIRES - 1}})]},
            ),
            ("next-price-2-63", "2^63 - 1 is the most", {9: [rate({4: {0: 2**63, 1: EXPIRES}})]}),
            ("next-without-price", "no price", {9: [rate({4: {1: EXPIRES}})]}),
            ("next-without-time", "no time", {9: [rate({4: {0: 1}})]}),
            ("next-beyond-9999", "past the last second that has a date", {9: [rate({4: {0: 1, 1: LATEST + 1}})]}),
            ("next-empty", "an empty map", {9: [rate({4: {}})]}),
        ],
    )
    ip = bytes([203, 0, 113, 7])
    each(
        "node",
        [
            ("list-empty", "no empty arrays", {10: []}),
            ("five", "4 are the most", {10: [node({0: peer(n)}) for n in range(5)]}),
            ("not-a-map", "a byte string", {10: [peer(1)]}),
            ("without-peer-id", "who is there", {10: [node({0: None})]}),
            ("without-addresses", "where", {10: [node({1: None})]}),
            ("no-addresses", "no empty arrays", {10: [node({1: []})]}),
            (
                "three-addresses",
                "2 are the most",
                {10: [node({1: [ADDRESS_TCP[:-1] + bytes([n]) for n in (1, 2, 3)]})]},
            ),
            ("address-twice", "addresses are distinct", {10: [node({1: [ADDRESS, ADDRESS]})]}),
            ("address-empty", "an empty address", {10: [node({1: [b""]})]}),
            ("address-text", "a text", {10: [node({1: ["/ip4/203.0.113.7/tcp/4001"]})]}),
            (
                "address-129",
                "128 octets are the most",
                {10: [node({1: [b"\x35\x7c" + LONG_NAME + b"b" + TCP + b"\0\1"]})]},
            ),
            (
                "address-name-length",
                "a name with another length than its own",
                {10: [node({1: [b"\x36\x08n.example" + TCP + b"\x0f\xa1"]})]},
            ),
            (
                "address-name-longer",
                "a length beyond the end",
                {10: [node({1: [b"\x36\x0an.example" + TCP + b"\x0f\xa1"]})]},
            ),
            ("address-name-two-dots", "an empty label", {10: [node({1: [b"\x36\x0an..example" + TCP + b"\x0f\xa1"]})]}),
            ("address-dnsaddr-number", "looks like an IP address", {10: [node({1: [b"\x38\x07127.0.1"]})]}),
            ("peer-one-octet", "no length", {10: [node({0: b"\0"})]}),
            ("peer-twice", "peer ids are distinct", {10: [node(), node({1: [ADDRESS_TCP]})]}),
            ("peer-empty", "an empty peer id", {10: [node({0: b""})]}),
            ("peer-text", "a peer id as text", {10: [node({0: "12D3KooW"})]}),
            ("peer-43", "42 octets are the most", {10: [node({0: b"\x00\x29" + bytes(41)})]}),
            ("peer-length", "the multihash's length is not its digest's", {10: [node({0: peer(1)[:-1]})]}),
            ("peer-padded", "an octet after the multihash", {10: [node({0: peer(1) + b"\0"})]}),
            ("peer-sha1", "a hash that peer ids do not use", {10: [node({0: b"\x11\x14" + bytes(20)})]}),
            ("peer-short-hash", "a SHA-256 of 31 octets", {10: [node({0: b"\x12\x1f" + bytes(31)})]}),
            ("peer-bare-key", "a key that is no multihash", {10: [node({0: OTHER.public})]}),
            (
                "address-with-peer",
                "the peer id has its own field",
                {10: [node({1: [ADDRESS + P2P + b"\x26" + peer(1)]})]},
            ),
            ("address-garbage", "no multiaddr", {10: [node({1: [b"\xff" * 9]})]}),
            ("address-cut-off", "ends inside the port", {10: [node({1: [ADDRESS_TCP[:-1]]})]}),
            ("address-no-transport", "an IP address alone", {10: [node({1: [IP4 + ip]})]}),
            ("address-no-host", "a port alone", {10: [node({1: [TCP + b"\x0f\xa1"]})]}),
            ("address-udp-alone", "UDP without QUIC", {10: [node({1: [IP4 + ip + UDP + b"\x0f\xa1"]})]}),
            ("address-quic-over-tcp", "QUIC over TCP", {10: [node({1: [ADDRESS_TCP + QUIC]})]}),
            (
                "address-websocket",
                "a transport of which version 1 knows nothing",
                {10: [node({1: [ADDRESS_TCP + WS]})]},
            ),
            ("address-port-0", "ports begin at 1", {10: [node({1: [ADDRESS_TCP[:-2] + bytes(2)]})]}),
            ("address-padded", "an octet after the address", {10: [node({1: [ADDRESS_TCP + b"\0"]})]}),
            (
                "address-name-upper-case",
                "names as in gateways",
                {10: [node({1: [b"\x36\x09N.example" + TCP + b"\x0f\xa1"]})]},
            ),
            ("address-name-empty", "no name", {10: [node({1: [b"\x36\x00" + TCP + b"\x0f\xa1"]})]}),
            (
                "address-long-varint",
                "a code in more octets than it needs",
                {10: [node({1: [b"\x84\x00" + ADDRESS_TCP[1:]]})]},
            ),
            (
                "address-dnsaddr-and-port",
                "dnsaddr stands alone",
                {10: [node({1: [b"\x38\x09n.example" + TCP + b"\x0f\xa1"]})]},
            ),
        ],
    )
    each(
        "clearing",
        [
            ("empty", "no empty arrays", {11: []}),
            ("three", "2 are the most", {11: [CLEARING.public, OTHER.public, NEXT.public]}),
            ("twice", "entries are distinct", {11: [CLEARING.public] * 2}),
            ("text", "a grid id as text", {11: [grid_id(CLEARING.public)]}),
            ("31-octets", "31 octets", {11: [CLEARING.public[1:]]}),
            ("not-an-array", "one grid id", {11: CLEARING.public}),
        ],
    )
    for key, name in ((12, "previous"), (13, "next"), (14, "successor"), (15, "predecessor")):
        each(
            name,
            [
                ("31-octets", "31 octets", {key: HASH[1:]}),
                ("33-octets", "33 octets", {key: HASH + b"x"}),
                ("text-32", "32 octets of text", {key: "x" * 32}),
                ("text", "hexadecimal digits", {key: HASH.hex()}),
            ],
        )
    each("successor", [("itself", "a grid does not succeed itself", {14: GRID.public})])
    each("predecessor", [("itself", "a grid does not precede itself", {15: GRID.public})])
    each("work", [("bytes", "a byte string", {16: b"\0"}), ("text", "a text", {16: "0"})])
    for key, value in {
        6: "g",
        7: ["tel:1"],
        8: [{6: FURL}],
        9: [{0: "XXX", 1: 0}],
        10: [node()],
        11: [CLEARING.public],
        14: NEXT.public,
        15: OTHER.public,
    }.items():
        v.unreadable(f"withdrawn-with-key-{key}", "a withdrawn record says nothing more", {4: True, key: value})
    return v


def keys():
    """32 bytes that are no key."""
    v = Records()
    wrong = [
        ("small-order-neutral", "the neutral element", NEUTRAL_BYTES),
        ("small-order-8", "a point of order 8", SMALL_ORDER[3]),
        ("second-encoding", "y not reduced", SECOND_ENCODINGS[3]),
        ("off-curve", "no point of the curve", OFF_CURVE),
    ]
    for name, why, key in wrong:
        v.unreadable(f"clearing-{name}", why, {11: [CLEARING.public, key]}, "key")
        v.unreadable(f"successor-{name}", why, {14: key}, "key")
        v.unreadable(f"predecessor-{name}", why, {15: key}, "key")
        v.unreadable(f"gateway-{name}", why, {8: [gateway({3: key})]}, "key")
    for n, key in enumerate(SMALL_ORDER):
        v.unreadable(f"all-of-small-order-{n}", f"a multiple of a point of order 8: {n} times", {15: key}, "key")
    for n, key in enumerate(SECOND_ENCODINGS):
        v.unreadable(f"all-second-encodings-{n}", "y from p on, or x = 0 with its sign bit set", {15: key}, "key")
    return v
