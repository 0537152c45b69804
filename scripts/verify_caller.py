#!/usr/bin/env python3
"""Verifies who calls a gateway by docs/spec/gateway.md alone: a claim to a session, or a membership. Beside verify_record.py, and
as it: no code shared with the program, `cbor2` and `cryptography`; 0 accepted, 1 refused (class and place on stderr), 2 usage."""

import argparse
import base64
import json
import pathlib
import re
import time

import verify_record as vr

SPEND, TOLERANCE, MOST = 2, 120, {"session": 1_536, "membership": 1_024}
vr.MAPS |= {
    "session": (3, "key hash hash key key time nonce record_bytes"),
    "membership": (5, "key key key serial nickname group*8 time hash*8 removed"),
}
vr.FORMS[int]["serial"] = range(1, 2**64)
vr.FORMS[bool]["removed"] = (True,)
vr.FORMS[bytes] |= {"nonce": ".{16}", "record_bytes": ".{0,995}"}
vr.FORMS[str]["group"] = "(?!.*,)" + vr.FORMS[str]["nickname"]
vr.RULES["group"] = lambda v: len(v.encode()) <= 32


def understood(kind, data, mandatory):
    """The map in an object of this kind, and what demands that a key has signed it."""
    vr.need(0 < len(data) <= MOST[kind], f"{len(data)} octets", "too-big" if data else "empty")
    _, found, signed_by = vr.opened(f"{kind}/1", data)
    found = vr.fits(kind, found)
    vr.need(mandatory <= found.keys(), f"{kind}: a key is missing")
    return found, signed_by


def calling_grid(data, grid, key, now):
    """Refuses a record that does not let this key spend in the grid's name."""
    try:
        record, _, _ = vr.judged(data, grid, "reader", now)
    except SystemExit as fault:
        expired = fault.code.startswith(("error: time-expired", "error: time-future"))
        vr.need(False, fault.code, "record-time" if expired else "record")
    vr.need(not record[4], "the calling grid", "withdrawn")
    spends = [gateway.get(3) for gateway in record.get(8, []) if gateway.get(4, 1) & SPEND]
    vr.need(key in spends, "no gateway of the record spends with that key", "not-listed")


def session(data, grid, spki_hash, exporter, now):
    """The map in a claim to this very connection with this server. Nonces and floors are the server's own to compare."""
    claim, signed_by = understood("session", data, {4, 5, 6})
    vr.need((3 in claim) == (7 in claim), "a calling grid and its record belong together")
    signed_by(claim[4])
    vr.need(claim[0] == grid, "key 0", "other-grid")
    vr.need(claim[1] == spki_hash, "key 1", "other-server")
    vr.need(claim[2] == exporter, "key 2", "other-connection")
    vr.need(abs(claim[5] - now) <= TOLERANCE, f"made at {claim[5]}", "time")
    if 3 in claim:
        calling_grid(claim[7], claim[3], claim[4], now)
    return claim


def membership(data, grid, publisher):
    """The map in a membership of this grid, signed by the grid key or the publisher key, if there is one."""
    found, signed_by = understood("membership", data, {6})
    vr.need(found[0] == grid, "key 0", "other-grid")
    vr.need(found[1] in (grid, publisher), "key 1", "other-signer")
    signed_by(found[1])
    return found


def key(text):
    found = base64.b32decode(text[7:].upper() + "====") if re.fullmatch("pub-v0-[a-z2-7]{51}[aq]", text) else b""
    if not vr.strict(found):
        raise argparse.ArgumentTypeError(f"`{text}` is no key")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=MOST)
    parser.add_argument("file", type=pathlib.Path, metavar="FILE", help="the object's bytes")
    parser.add_argument("--grid", type=key, required=True, metavar="GRID_ID", help="the gateway's grid: pub-v0-...")
    parser.add_argument("--publisher", type=key, metavar="KEY", help="whom the grid's delegation names: pub-v0-...")
    parser.add_argument("--spki-hash", type=bytes.fromhex, metavar="HEX", help="of the gateway; of a session")
    parser.add_argument("--exporter", type=bytes.fromhex, metavar="HEX", help="of the connection; of a session")
    parser.add_argument("--now", type=int, default=int(time.time()), metavar="UNIX", help="seconds (default: now)")
    arg = parser.parse_args()
    data = arg.file.read_bytes()
    if arg.kind == "session":
        found = session(data, arg.grid, arg.spki_hash, arg.exporter, arg.now)
    else:
        found = membership(data, arg.grid, arg.publisher)
    print("ok", json.dumps(found, default=bytes.hex), sep="\n")
