"""Statements with their positions: docs/spec/clearing.md, "Statements with their positions". The figures were computed by hand."""

import hashlib

from .clearing import FIRST, SECOND, identity_of
from .common import CLEARING, DAY, GATEWAY, HASH, MOST, NOW
from .forge import Raw, cbor, seal

MONTH = NOW - 30 * DAY  # the period is from here to before NOW
ZERO = {10: 0, 11: 0, 12: 0, 13: 0}


def position(before, time, booked, asset="USD", key=CLEARING, **changed):
    """The next one. `booked` has charged_first, charged_second, settled_first and settled_second of it; `changed` keys as k5."""
    number = before[5] + 1 if before else 1
    name = hashlib.sha256(b"lane %d" % number).digest()
    fields = {
        0: CLEARING.public, 1: key.public, 2: FIRST.public, 3: SECOND.public, 4: asset, 5: number, 7: time,
        8: [{0: name[:31] + bytes([party]), 1: party, 2: 0, 3: 1, 4: 0, 5: booked[party]} for party in (0, 1) if booked[party]],
        9: [{0: 1, 1: name, 2: party, 3: booked[2 + party]} for party in (0, 1) if booked[2 + party]],
    }  # fmt: skip
    if before:
        fields[6] = bytes.fromhex(identity_of("position/1", before, False))
    fields |= {10 + at: (before or ZERO)[10 + at] + booked[at] for at in range(4)}
    fields |= {int(name[1:]): value for name, value in changed.items()}
    return {key: value for key, value in fields.items() if value != []}


def chain(*booked, asset="USD"):
    """Positions of one history: a time, and what was booked."""
    made = []
    for time, *amounts in booked:
        made.append(position(made[-1] if made else None, time, amounts, asset))
    return made


def name_of(position):
    return bytes.fromhex(identity_of("position/1", position, False))


def statement(last, figures, debtor=FIRST, creditor=SECOND, begins=MONTH, ends=NOW, asset="USD", key=CLEARING):
    """`figures` are keys 8 to 13."""
    fields = {0: CLEARING.public, 1: key.public, 2: creditor.public, 3: debtor.public, 4: asset, 5: begins, 6: ends}
    return fields | ({7: name_of(last)} if last else {}) | dict(enumerate(figures, 8))


def together(said, positions, key=CLEARING, more=None):
    """The file: the statement and the positions, each signed by the clearing grid's own key."""
    fields = {0: 1, 1: said if isinstance(said, bytes) else seal("statement/1", cbor(said), key)}
    signed = [it if isinstance(it, bytes) else seal("position/1", cbor(it), CLEARING) for it in positions]
    fields |= ({2: signed} if signed else {}) | (more or {})
    return cbor({key: value for key, value in fields.items() if value is not None})


def statements():
    """Statements with their positions. `now_unix_seconds` is when they are judged."""
    vectors = []

    def raw(name, why, data, outcome, now=NOW + DAY, **more):
        vectors.append({"name": name, "why": why, "now_unix_seconds": now, "bytes_hex": data.hex(), "outcome": outcome} | more)

    def good(name, why, said, positions, now=NOW + DAY, **how):
        identity = identity_of("statement/1", said, False)
        raw(name, why, together(said, positions, **how), "ok", now, identity=identity, positions=len(positions))

    def bad(name, why, said, positions, outcome, now=NOW + DAY, **how):
        raw(name, why, together(said, positions, **how), outcome, now)

    days = [NOW - 70 * DAY, NOW - 40 * DAY, NOW - 20 * DAY, NOW - 10 * DAY, NOW + 3600]
    booked = [(30_000_000, 0, 0, 0), (5_000_000, 0, 10_000_000, 0), (40_000_003, 0, 20_000_000, 0), (0, 7, 0, 0), (1, 0, 0, 0)]
    whole = chain(*((day, *amounts) for day, amounts in zip(days, booked)))
    figures = [25_000_000, 40_000_003, 7, 20_000_000, 40_000_000, 4_999_996]
    said, shown = statement(whole[3], figures), whole[1:4]

    good("plain", "the last position before the period, and those in it", said, shown)
    good("whole-history", "from the first position on", said, whole[:4])
    good("what-came-after", "a position after the period changes nothing", said, whole[1:])
    good("alone", "a map without positions: nothing is computed again", said, [])
    alone = seal("statement/1", cbor(said), CLEARING)
    raw("by-itself", "a statement/1 and no map", alone, "ok", identity=identity_of("statement/1", said, False), positions=0)
    good("later-word", "a key from 64 on is passed over", said, shown, more={64: "new"})
    good("just-over", "judged in the second in which its period is over", said, shown, now=NOW)
    good("another-signer", "signed by another key of the clearing grid: whose it is a record says", said | {1: GATEWAY.public}, shown, key=GATEWAY)
    alone = statement(None, figures)
    good("no-position-named", "alone, and without key 7", alone, [])

    first = chain((NOW - 20 * DAY, 40_000_003, 0, 0, 0))
    good("first-position", "nothing was before it", statement(first[0], [0, 40_000_003, 0, 0, 40_000_000, 3]), first)
    edges = chain((MONTH, 10_000_000, 0, 0, 0), (NOW, 10_000_000, 0, 0, 0))
    good("first-second", "a position in the first second is in the period, one in the first after it is not",
         statement(edges[0], [0, 10_000_000, 0, 0, 10_000_000, 0]), edges)
    before = chain((MONTH - 1, 30_000_000, 0, 0, 0))
    good("nothing-booked", "the last position is one before the period",
         statement(before[0], [30_000_000, 0, 0, 0, 30_000_000, 0]), before)
    turned = chain((NOW - 70 * DAY, 10_000_000, 0, 0, 0), (NOW - 20 * DAY, 0, 50_000_001, 0, 0))
    good("turned", "who owed before is owed now",
         statement(turned[1], [0, 50_000_001, 10_000_000, 0, 40_000_000, 1], SECOND, FIRST), turned)
    beyond = chain((NOW - 70 * DAY, 10_000_000, 0, 0, 0), (NOW - 20 * DAY, 0, 0, 25_000_000, 0))
    good("paid-beyond", "what was paid beyond the debt is owed back",
         statement(beyond[1], [25_000_000, 0, 10_000_000, 0, 10_000_000, 5_000_000], SECOND, FIRST), beyond)
    even = chain((NOW - 70 * DAY, 10_000_000, 0, 0, 0), (NOW - 20 * DAY, 0, 0, 10_000_000, 0))
    good("even", "where nobody owes the first grid is the debtor", statement(even[1], [10_000_000, 0, 0, 10_000_000, 0, 0]), even)
    for asset, payable, carried in (("BTC", 123_456_000, 789), ("ZEC", 123_456_000, 789), ("JPY", 120_000_000, 3_456_789)):
        coins = chain((NOW - 20 * DAY, 123_456_789, 0, 0, 0), asset=asset)
        good(f"payable-{asset}", "the payable unit is that of the asset",
             statement(coins[0], [0, 123_456_789, 0, 0, payable, carried], asset=asset), coins)
    most = chain((NOW - 20 * DAY, MOST, 0, 0, 0))
    good("most", "63 bits", statement(most[0], [0, MOST, 0, 0, MOST - MOST % 10**7, MOST % 10**7]), most)

    bad("not-over", "judged in the last second of the period", said, shown, "not-over", now=NOW - 1)
    bad("alone-not-over", "a statement alone has to be over too", said, [], "not-over", now=NOW - 1)
    bad("hole", "a position is missing", said, [whole[1], whole[3]], "chain")
    bad("twice", "a position stands there twice", said, [whole[1], *shown], "chain")
    bad("other-order", "the newest first", said, shown[::-1], "chain")
    bad("no-beginning", "the last position before the period is missing", said, whole[2:4], "chain")
    bad("end-missing", "the last of the period is missing", said, whole[1:3], "figure")
    bad("only-later", "nothing was booked before the end of the period",
        statement(edges[1], [0, 0, 0, 0, 0, 0]), chain((NOW, 1, 0, 0, 0)), "figure")
    for name, why, outcome, changed in (
        ("forked", "a position names another one before it", "chain", {"k6": HASH}),
        ("number-left-out", "a number is passed over", "chain", {"k5": 5}),
        ("other-pair", "a position of another pair", "chain", {"k3": GATEWAY.public}),
        ("other-asset", "a position in another asset", "chain", {"k4": "EUR"}),
        ("other-clearing", "a position of another clearing node", "chain", {"k0": GATEWAY.public}),
        ("totals", "a total is not the one before it with what was booked", "chain", {"k10": 75_000_004}),
        ("older", "a position is older than the one before it", "chain", {"k7": NOW - 21 * DAY}),
    ):  # fmt: skip
        last = position(whole[2], days[3], booked[3], **changed)
        if "k3" in changed and last[3] <= last[2]:
            last |= {2: last[3], 3: SECOND.public}
        bad(name, why, said | {7: name_of(last)}, [whole[1], whole[2], last], outcome)
    for name, why, changes in (
        ("more-charged", "the sums of keys 8 to 13 hold, and the figures are not those of the positions", {9: figures[1] + 1, 13: figures[5] + 1}),
        ("less-settled", "likewise", {11: figures[3] - 1, 13: figures[5] + 1}),
        ("more-brought-forward", "likewise", {8: figures[0] + 7, 10: figures[2] + 7}),
        ("a-unit-carried", "a payable unit is carried over", {12: 30_000_000, 13: 14_999_996}),
        ("less-than-a-unit-payable", "not a whole number of payable units", {12: 40_000_001, 13: 4_999_995}),
        ("parties-changed", "debtor and creditor in each other's place", {2: FIRST.public, 3: SECOND.public}),
        ("other-creditor", "owed to somebody else", {2: GATEWAY.public}),
        ("other-issuer", "by somebody who does not keep that chain", {0: GATEWAY.public}),
        ("in-another-asset", "amounts of another asset", {4: "EUR"}),
        ("another-last-position", "it names another position", {7: HASH}),
        ("no-last-position", "it names none", {7: None}),
        ("earlier", "a period that begins before the first of the positions", {5: NOW - 60 * DAY}),
        ("shorter", "a period that ends a day earlier than its last position", {6: NOW - 11 * DAY}),
    ):
        changed = {key: value for key, value in (said | changes).items() if value is not None}
        bad(name, why, changed, whole[:4], "figure")
    twice = chain((NOW - 20 * DAY, MOST, 0, 0, MOST))
    bad("beyond-63-bits", "more is due than a statement can say",
        statement(twice[0], [MOST, MOST, 0, 0, MOST, MOST]), twice, "figure")

    bad("no-format", "key 0 is missing", said, shown, "field", more={0: None})
    bad("format-2", "a later format", said, shown, "upgrade", more={0: 2})
    bad("true-format", "a format that is no number", said, shown, "field", more={0: True})
    bad("no-statement", "key 1 is missing", said, shown, "field", more={1: None})
    bad("text-as-statement", "key 1 is no octets", said, shown, "field", more={1: "statement"})
    bad("empty-list", "an empty list is left out", said, shown, "field", more={2: []})
    bad("map-as-list", "key 2 is no list", said, shown, "field", more={2: {}})
    bad("number-as-position", "a position that is no octets", said, shown, "field", more={2: [1]})
    bad("unknown-word", "a key below 64 that is not known", said, shown, "upgrade", more={3: 1})
    raw("trailing", "an octet after the end", together(said, shown) + b"\0", "non-canonical")
    raw("cut-off", "the last octet is missing", together(said, shown)[:-1], "non-canonical")
    bad("long-number", "a number in more octets than it needs", said, shown, "non-canonical", more={64: Raw(b"\x18\x01")})
    bad("statement-by-another", "the statement is signed by a key that it does not name", said, shown, "signature", key=GATEWAY)
    bad("unsound-statement", "its own sums do not hold", said | {12: figures[4] + 1}, shown, "field")
    forged = seal("position/1", cbor(whole[2]), GATEWAY)
    bad("position-by-another", "a position is signed by a key that it does not name", said, [whole[1], forged, whole[3]], "signature")
    other = seal("statement/1", cbor(said), CLEARING)
    bad("statement-as-position", "a position that is a statement", said, [whole[1], other], "field")
    bad("position-as-statement", "a statement that is a position", seal("position/1", cbor(whole[1]), CLEARING), shown, "field")
    bad("no-envelope", "a statement that is no signed object", b"statement", shown, "envelope")
    return vectors
