"""What a grid promised: commitments broken, prices that bind."""

from .common import DAY, EXPIRES, GRID, HOUR, ISSUED, NEXT, NOW, payload_of, rate
from .forge import cbor, grid_id, seal


def of_rates(rates, issued=ISSUED, expires=EXPIRES, changes=None):
    """A record with these rates, sealed."""
    fields = payload_of({1: issued * 1000, 2: issued, 3: expires} | ({9: rates} if rates else {}) | (changes or {}))
    return seal("record/1", cbor(fields), GRID)


def commitments():
    """In which assets a newer record breaks a commitment of an older one."""
    out = []
    later, end = ISSUED + DAY, ISSUED + 90 * DAY

    def pair(name, why, older, newer, broken, issued=later, **how):
        older = older if isinstance(older, bytes) else of_rates(older)
        newer = newer if isinstance(newer, bytes) else of_rates(newer, issued, issued + 7 * DAY, **how)
        entry = {"name": name, "why": why, "grid_id": grid_id(GRID.public), "older_hex": older.hex()}
        out.append(entry | {"newer_hex": newer.hex(), "broken": broken})

    promised = rate({3: end})
    usd = ["USD"]
    pair("same", "the same line again", [promised], [promised], [])
    pair("lower", "a lower price", [promised], [rate({1: 1, 3: end})], [])
    pair("longer", "a longer commitment", [promised], [rate({3: end + 1})], [])
    pair("another-asset", "one more asset", [promised], [rate({0: "EUR"}), promised], [])
    pair("higher", "a higher price", [promised], [rate({1: 20_000_001, 3: end})], usd)
    pair("shorter", "a commitment that ends a second earlier", [promised], [rate({3: end - 1})], usd)
    pair("default-is-shorter", "without a date the commitment ends when the record expires", [promised], [rate()], usd)
    pair("dropped", "no line in the asset", [promised], [rate({0: "EUR", 3: end})], usd)
    pair("all-dropped", "no rates at all", [promised], [], usd)
    pair("postponed", "the line begins a day later", [promised], [rate({2: later + DAY, 3: end})], usd)
    pair(
        "begins-with-the-record", "not_before after the old one's, and not after issued_at", [promised], [promised], []
    )
    future = rate({2: later + 9 * DAY, 3: end})
    pair("future-kept", "a commitment that has not begun yet", [future], [future], [])
    pair("future-earlier", "which may begin earlier", [future], [promised], [])
    pair("future-postponed", "and not later", [future], [rate({2: later + 9 * DAY + 1, 3: end})], usd)
    pair(
        "higher-after-its-end",
        "issued when the commitment has ended",
        [promised],
        [rate({1: 9 * 10**9})],
        [],
        issued=end,
    )
    pair("higher-in-its-last-second", "issued a second before", [promised], [rate({1: 9 * 10**9})], usd, issued=end - 1)
    pair(
        "default-commitment",
        "a line without a date binds until its record expires",
        [rate()],
        [rate({1: 9 * 10**9})],
        usd,
    )
    pair("default-commitment-kept", "so a successor record of the same lifetime keeps it", [rate()], [rate()], [])
    pair(
        "announced-is-no-commitment",
        "the announced price is not promised",
        [rate({4: {0: 1, 1: later + DAY}})],
        [rate()],
        [],
    )
    pair(
        "announced-covers-nothing",
        "a lower price announced is no commitment in place of the old one",
        [promised],
        [rate({3: ISSUED + 30 * DAY, 4: {0: 1, 1: ISSUED + 30 * DAY}})],
        usd,
    )
    pair("empty-commitment", "not_before is committed_until: nothing was promised", [rate({2: end, 3: end})], [], [])
    free = {0: "XXX", 1: 0, 3: end}
    pair("free-kept", "still free", [free], [rate(), free], [])
    pair("free-dropped", "promised to be free, and charges", [free], [rate()], ["XXX"])
    pair(
        "two-broken",
        "in the order of the assets",
        [rate({0: "EUR", 3: end}), promised],
        [rate({1: 9 * 10**9, 3: end})],
        ["EUR", "USD"],
    )
    pair(
        "withdrawn",
        "a withdrawn record breaks nothing",
        [promised],
        of_rates([], later, later + 7 * DAY, {4: True}),
        [],
    )
    moved = of_rates([], later, later + 7 * DAY, {14: NEXT.public})
    pair("moved-and-dropped", "one with a successor does: there is room for the line in it", [promised], moved, usd)
    moved = of_rates([promised], later, later + 7 * DAY, {14: NEXT.public})
    pair("moved-and-kept", "and so it keeps it", [promised], moved, [])
    older = of_rates([rate({2: 1, 3: end})], later + 5, later + 5 + 7 * DAY)
    newer = of_rates([rate({2: later + 5, 3: end})], ISSUED, ISSUED + 7 * DAY, {5: ISSUED + 1})
    pair("newer-by-serial-issued-before", "the later of the two times of issue counts", older, newer, [])
    return out


def bindings():
    """The price that binds, of a current record (the first) and evidence. `null`: none."""
    out = []
    end = ISSUED + 90 * DAY

    def case(name, why, now, prices, *records):
        out.append(
            {
                "name": name,
                "why": why,
                "grid_id": grid_id(GRID.public),
                "now_unix_seconds": now,
                "records_hex": [data.hex() for data in records],
                "prices": prices,
            }
        )

    usd, eur = "USD", "EUR"
    high = rate({1: 300})
    case("published", "nothing but the current record", NOW, {usd: "300", eur: None}, of_rates([high]))
    case("expired", "nothing is in force in an expired record", EXPIRES, {usd: None}, of_rates([high]))
    case("committed-after-expiry", "its commitment is", EXPIRES, {usd: "300"}, of_rates([rate({1: 300, 3: end})]))
    case("not-begun", "a line that has not begun", NOW, {usd: None}, of_rates([rate({1: 300, 2: NOW + 1})]))
    case("begun-this-second", "not_before is included", NOW, {usd: "300"}, of_rates([rate({1: 300, 2: NOW})]))
    bare = rate({1: 300, 2: NOW, 3: NOW})
    case("begun-this-second-uncommitted", "in force, though never promised", NOW, {usd: "300"}, of_rates([bare]))
    falls = rate({1: 300, 4: {0: 200, 1: NOW}})
    case("next-lower", "the announced price is in force from its second on", NOW, {usd: "200"}, of_rates([falls]))
    case("next-lower-not-yet", "and not before", NOW - 1, {usd: "300"}, of_rates([falls]))
    rises = rate({1: 300, 3: NOW, 4: {0: 400, 1: NOW}})
    case("next-higher", "the commitment ends as the price rises", NOW, {usd: "400"}, of_rates([rises]))
    case("next-higher-not-yet", "committed until the second before", NOW - 1, {usd: "300"}, of_rates([rises]))
    old = of_rates([rate({1: 100, 3: end})], ISSUED - 100 * HOUR, ISSUED - HOUR)
    case("evidence-lower", "an expired record still binds", NOW, {usd: "100"}, of_rates([high]), old)
    case("evidence-dropped-asset", "also in an asset that was dropped", NOW, {usd: "100"}, of_rates([]), old)
    case("evidence-last-second", "committed_until is excluded", end - 1, {usd: "100"}, of_rates([high]), old)
    case("evidence-over", "and then it is over", end, {usd: None}, of_rates([high]), old)
    later = of_rates([rate({1: 100, 2: NOW, 3: end})], ISSUED - 100 * HOUR, ISSUED - HOUR)
    case("evidence-begins-this-second", "not_before is included", NOW, {usd: "100"}, of_rates([high]), later)
    case("evidence-not-begun", "and not before", NOW - 1, {usd: "300"}, of_rates([high]), later)
    ahead = of_rates([rate({1: 100, 2: NOW})], NOW + 2 * HOUR + 1, NOW + DAY)
    case(
        "evidence-from-the-future", "a record from the future binds nobody", NOW, {usd: "300"}, of_rates([high]), ahead
    )
    ahead = of_rates([rate({1: 100, 2: NOW})], NOW + 2 * HOUR, NOW + DAY)
    case("evidence-2-hours-ahead", "clocks may differ by 2 h", NOW, {usd: "100"}, of_rates([high]), ahead)
    lower = of_rates([rate({1: 50, 3: NOW + 9})], ISSUED - 50 * HOUR, ISSUED - HOUR)
    case("evidence-strongest", "of several the lowest", NOW, {usd: "50"}, of_rates([high]), old, lower)
    case(
        "evidence-then-the-next",
        "and, when that is over, the other",
        NOW + 9,
        {usd: "100"},
        of_rates([high]),
        old,
        lower,
    )
    case("evidence-higher", "the published price, where it is lower", NOW, {usd: "7"}, of_rates([rate({1: 7})]), old)
    case(
        "free",
        "XXX in force: nobody is charged, in any asset",
        NOW,
        {usd: "0", eur: "0", "XXX": "0"},
        of_rates([high, {0: "XXX", 1: 0}]),
    )
    case(
        "free-not-begun",
        "and not before it begins",
        NOW,
        {usd: "300", "XXX": None},
        of_rates([high, {0: "XXX", 1: 0, 2: NOW + 1}]),
    )
    case(
        "free-in-evidence",
        "a promise to be free binds like others",
        NOW,
        {usd: "0", "XXX": "0"},
        of_rates([high]),
        of_rates([{0: "XXX", 1: 0, 3: end}], ISSUED - 100 * HOUR, ISSUED - HOUR),
    )
    return out
