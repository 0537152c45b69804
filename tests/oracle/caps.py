"""Asks Tahoe-LAFS about caps. One JSON object a line.

caps.py made COUNT SEED      random caps of every kind, and what may be derived from each
caps.py altered COUNT SEED   such caps with one thing altered, and how Tahoe prints what it read; null if it refused
caps.py kept                 caps on standard input, and what a directory would keep of them
"""

import json
import random
import sys

from allmydata import uri
from allmydata.unknown import UnknownNode
from allmydata.util import base32


def text(value):
    return None if value is None else value.decode("ascii")


def random_files(dice):
    """One file of each kind, write and read caps first."""
    needed = dice.randint(1, 256)
    total = dice.randint(needed, 256)
    size = dice.choice([dice.randint(0, 100), dice.randint(0, 2**40), 2**64 - 1])
    chk = uri.CHKFileURI(dice.randbytes(16), dice.randbytes(32), needed, total, size)
    sdmf = uri.WriteableSSKFileURI(dice.randbytes(16), dice.randbytes(32))
    mdmf = uri.WriteableMDMFFileURI(dice.randbytes(16), dice.randbytes(32))
    literal = uri.LiteralFileURI(dice.randbytes(dice.randint(0, 55)))
    return chk, sdmf, mdmf, literal


def random_caps(dice):
    """One cap of each of the eighteen kinds."""
    chk, sdmf, mdmf, literal = random_files(dice)
    strong = [
        chk,
        sdmf,
        mdmf,
        literal,
        uri.ImmutableDirectoryURI(chk),
        uri.DirectoryURI(sdmf),
        uri.MDMFDirectoryURI(mdmf),
        uri.LiteralDirectoryURI(literal),
    ]
    for cap in strong:
        yield cap
        if not cap.is_readonly():
            yield cap.get_readonly()
        if cap.get_verify_cap() is not None:
            yield cap.get_verify_cap()


def made(count, dice):
    for _ in range(count):
        for cap in random_caps(dice):
            verifier = uri.IVerifierURI.providedBy(cap)
            # Of the verify cap of an immutable directory Tahoe cannot print the verify cap, which is that cap itself.
            verify = cap if verifier else cap.get_verify_cap()
            index = cap.get_storage_index()
            yield {
                "cap": text(cap.to_string()),
                "verifier": verifier,
                "readonly": cap.is_readonly(),
                # Of a verify cap Tahoe says "not mutable" whatever the file is.
                "mutable": None if verifier else cap.is_mutable(),
                "read_cap": None if verifier else text(cap.get_readonly().to_string()),
                "verify_cap": text(verify and verify.to_string()),
                "storage_index": text(index and base32.b2a(index)),
            }


def alter(cap, dice):
    place = dice.randrange(len(cap) + 1)
    letter = dice.choice("abcdefghijklmnopqrstuvwxyz234567" * 2 + "0189:.-+ABCD")
    return dice.choice([
        cap[:place] + letter + cap[place + 1 :],
        cap[:place] + letter + cap[place:],
        cap[:place] + cap[place + 1 :],
        cap[:place],
        cap + dice.choice([":", ":3", ":3:131073", "\n", " ", "a", "0"]),
        " " + cap,
    ])


def altered(count, dice):
    for _ in range(count):
        for cap in random_caps(dice):
            # Tahoe 1.20 makes these two and cannot read them back: an assertion fails in it.
            original = text(cap.to_string())
            if original.startswith(("URI:DIR2-CHK-Verifier:", "URI:DIR2-MDMF-Verifier:")):
                continue
            changed = alter(original, dice)
            read = uri.from_string(changed.encode("ascii"))
            refused = isinstance(read, uri.UnknownURI)
            yield {"text": changed, "read": None if refused else text(read.to_string())}


def kept(lines):
    for line in lines:
        cap = line.strip().encode("ascii")
        node = UnknownNode(None, cap)
        node.raise_error()
        yield {
            "unknown": isinstance(uri.from_string(cap), uri.UnknownURI),
            "kept": text(node.get_readonly_uri()),
            "in_immutable_directory": node.is_allowed_in_immutable_directory()
            and text(UnknownNode(None, cap, deep_immutable=True).get_readonly_uri()),
        }


def main():
    mode, *numbers = sys.argv[1:]
    if mode == "kept":
        answers = kept(sys.stdin.readlines())
    else:
        count, seed = map(int, numbers)
        answers = {"made": made, "altered": altered}[mode](count, random.Random(seed))
    for answer in answers:
        print(json.dumps(answer))


main()
