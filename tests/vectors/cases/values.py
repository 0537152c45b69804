"""What is judged apart from records: order, assets, signatures alone."""

from .common import CLEARING, DAY, EXPIRES, GATEWAY, GRID, ISSUED, MIXED, NEXT, OTHER, PUBLISHER, delegated, payload_of
from .forge import (
    BASE,
    NEUTRAL_AGAIN,
    NEUTRAL_BYTES,
    OFF_CURVE,
    SECOND_ENCODINGS,
    SMALL_ORDER,
    Key,
    L,
    cbor,
    compress,
    grid_id,
    number,
    plus_order,
    seal,
    times,
)


def supersede():
    """Which of two records is the newer."""
    out = []

    def pair(name, why, a, b, newer, key_a=None, key_b=None, **how):
        def made(fields, key, salt):
            key = key or (PUBLISHER if isinstance(fields[5], bytes) else GRID)
            return seal("record/1", cbor(fields), key, salt=salt)

        a, b = made(a, key_a, b""), made(b, key_b, how.get("salt", b""))
        out.append(
            {
                "name": name,
                "why": why,
                "grid_id": grid_id(GRID.public),
                "a_hex": a.hex(),
                "b_hex": b.hex(),
                "newer": newer,
            }
        )

    later = {1: (ISSUED + 5) * 1000, 2: ISSUED + 5}
    pair("sequence", "a higher sequence", payload_of(), payload_of({1: ISSUED * 1000 + 1}), "b")
    pair("sequence-reversed", "in either order", payload_of({1: ISSUED * 1000 + 1}), payload_of(), "a")
    pair("sequence-later", "issued later", payload_of(), payload_of(later), "b")
    pair(
        "sequence-goes-before-expiry",
        "expiry decides nothing",
        payload_of({3: ISSUED + 30 * DAY}),
        payload_of(later),
        "b",
    )
    pair("serial-goes-before-sequence", "a higher serial", payload_of(later), payload_of({5: ISSUED + 1}), "b")
    pair(
        "withdrawn-goes-before-serial",
        "withdrawn is final",
        payload_of({4: True}),
        payload_of({**later, 5: ISSUED + 9}),
        "a",
    )
    pair(
        "withdrawn-twice",
        "two withdrawn ones compare like others",
        payload_of({4: True}),
        payload_of({4: True, **later}),
        "b",
    )
    pair("withdrawn-same-sequence", "with nothing else to decide", payload_of(), payload_of({4: True}), "b")
    pair(
        "payload-bytes",
        "all else equal, the greater payload, octet by octet",
        payload_of({6: "a"}),
        payload_of({6: "b"}),
        "b",
    )
    pair("payload-bytes-unsigned", "octets compare as 0 to 255", payload_of({6: "z"}), payload_of({6: "\u00e9"}), "b")
    pair(
        "payload-longer",
        "one more entry makes the first octet greater",
        payload_of({6: "zzzz"}),
        payload_of({6: "a", 7: ["tel:1"]}),
        "b",
    )
    pair(
        "payload-expiry",
        "a payload that differs in expires_at alone",
        payload_of({3: EXPIRES + 256}),
        payload_of({3: EXPIRES}),
        "a",
    )
    pair("payload-format", "a later format with all else equal", payload_of(), payload_of({0: 2}), "b")
    pair(
        "format-decides-nothing",
        "a later format does not go before sequence",
        payload_of({0: 2}),
        payload_of(later),
        "b",
    )
    pair("same", "the same bytes", payload_of(), payload_of(), "same")
    pair(
        "same-payload-other-nonce",
        "another signature over the same payload is the same record: keep the one held",
        payload_of(),
        payload_of(),
        "same",
        salt=b"other",
    )
    pair(
        "delegated-serial",
        "the delegation's serial is the record's",
        payload_of(later),
        delegated({}, {1: ISSUED + 1}),
        "b",
    )
    pair(
        "delegated-revoked",
        "a grid-key record with a higher serial revokes the delegation",
        delegated(later),
        payload_of({5: ISSUED + 1}),
        "b",
    )
    pair(
        "delegated-same-serial",
        "with equal serials the sequence decides",
        payload_of({5: ISSUED}),
        delegated(later),
        "b",
    )
    pair(
        "successor-is-no-rank", "a successor gives no precedence", payload_of({14: NEXT.public}), payload_of(later), "b"
    )
    return out


def ed25519():
    """Signatures alone: what strict verification accepts and refuses."""
    out = []

    def case(name, why, public, message, signature, outcome):
        out.append(
            {
                "name": name,
                "why": why,
                "public_key_hex": public.hex(),
                "message_hex": message.hex(),
                "signature_hex": signature.hex(),
                "outcome": outcome,
            }
        )

    m = b"message"
    right = GRID.sign(m)
    case("right", "as RFC 8032 signs", GRID.public, m, right, "ok")
    case("right-empty", "an empty message", GRID.public, b"", GRID.sign(b""), "ok")
    case("other-message", "one octet more", GRID.public, m + b"s", right, "signature")
    case("other-key", "another key", OTHER.public, m, right, "signature")
    case("plus-order", "S + L", GRID.public, m, plus_order(right), "signature")
    case("s-is-order", "S = L, R small", GRID.public, m, NEUTRAL_BYTES + L.to_bytes(32, "little"), "signature")
    case("s-largest", "all bits of S set", GRID.public, m, right[:32] + b"\xff" * 32, "signature")
    case(
        "neutral-r",
        "R of small order, and the equation holds",
        GRID.public,
        m,
        GRID.sign_with_neutral(m, NEUTRAL_BYTES),
        "signature",
    )
    case(
        "neutral-r-again",
        "R in a second encoding, and the equation holds for who decodes it",
        GRID.public,
        m,
        GRID.sign_with_neutral(m, NEUTRAL_AGAIN),
        "signature",
    )
    case("r-off-curve", "R is no point", GRID.public, m, OFF_CURVE + right[32:], "signature")
    case(
        "mixed-order-passes",
        "the challenge is a multiple of 8",
        MIXED.public,
        m,
        MIXED.sign(m, wanted=lambda c: c % 8 == 0),
        "ok",
    )
    case(
        "mixed-order-needs-cofactor",
        "the challenge is not",
        MIXED.public,
        m,
        MIXED.sign(m, wanted=lambda c: c % 8 != 0),
        "signature",
    )
    for n, public in enumerate(SMALL_ORDER):
        nonce, signature = 0, b""
        # A signature by nobody: S is the nonce, and the key's part vanishes where its order divides the challenge.
        while not signature:
            nonce += 1
            point = compress(times(nonce, BASE))
            if number(point, public, m) % L % 8 == 0:
                signature = point + nonce.to_bytes(32, "little")
        case(f"small-order-key-{n}", "the equation holds, and nobody signed", public, m, signature, "key")
    for n, public in enumerate(SECOND_ENCODINGS):
        case(f"second-encoding-{n}", "y from p on, or x = 0 with its sign bit set", public, m, right, "key")
    case("key-off-curve", "no point of the curve", OFF_CURVE, m, right, "key")
    return out


DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
    2: """
       AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE
       CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD
       HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK
       MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB
       SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD
       USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG ZWL
    """,
}


def assets():
    """The assets with their scales, and codes that are none."""
    scales = {asset: digits + 7 for digits, line in DIGITS.items() for asset in line.split()} | {
        "BTC": 11,
        "ZEC": 11,
        "XXX": 0,
    }
    known = [{"name": asset, "scale": scales[asset], "outcome": "ok"} for asset in sorted(scales)]
    unknown = "ANG BTCX DEM ETH FRF USDT XAG XAU XBA XBB XBC XBD XDR XMR XPD XPT XSU XTS XUA ZZZ ZZZZZ"
    return (
        known
        + [{"name": asset, "outcome": "upgrade"} for asset in unknown.split()]
        + [
            {"name": text, "outcome": "field"}
            for text in ("", "US", "USDOLL", "usd", "Usd", "US1", "U D", "USD ", "\u03a5SD")
        ]
    )


def test_keys():
    """The keys that sign the vectors."""
    named = (GRID, PUBLISHER, OTHER, NEXT, GATEWAY, CLEARING, Key("mixed order"))
    return [
        {
            "name": key.name,
            "seed_hex": key.seed.hex(),
            "public_key_hex": key.public.hex(),
            "grid_id": grid_id(key.public),
        }
        for key in named
    ]
