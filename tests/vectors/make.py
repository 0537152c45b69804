#!/usr/bin/env python3
"""Writes the test vectors: `python3 tests/vectors/make.py [DIR]`, beside this file by default.

Standard library only; no clock, no randomness: two runs write the same bytes. Format: README.md. What is right and
what is wrong: docs/spec/signed-objects.md, docs/spec/record.md, docs/spec/gateway.md,
docs/spec/clearing.md. Each wrong vector has one fault, and is signed properly
unless the signature is the fault.
"""

import json
import pathlib
import sys

from cases import authority, callers, clearing, fields, form, good, money, statements, values

FILES = (
    ("record/good", "record", good.good),
    ("record/upgrade", "record", good.upgrade),
    ("record/time", "record", good.moments),
    ("record/envelope", "record", form.envelopes),
    ("record/form", "record", form.forms),
    ("record/holder-fields", "record", fields.holder_fields),
    ("record/fields", "record", fields.fields),
    ("record/keys", "record", fields.keys),
    ("record/delegation", "record", authority.delegations),
    ("record/signature", "record", authority.signatures),
    ("record/supersede", "supersede", values.supersede),
    ("record/commitments", "commitment", money.commitments),
    ("record/bindings", "binding", money.bindings),
    ("record/assets", "asset", values.assets),
    ("signed/ed25519", "ed25519", values.ed25519),
    ("signed/test-keys", "key", values.test_keys),
    ("session/claims", "session", callers.sessions),
    ("session/memberships", "membership", callers.memberships),
    ("clearing/objects", "money", clearing.money),
    ("clearing/statements", "statement", statements.statements),
)


def write(folder, file, kind, about, vectors):
    """Writes one file of vectors below `folder`."""
    names = [vector["name"] for vector in vectors]
    assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]
    path = folder / f"{file}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"about": about, "kind": kind, "vectors": vectors}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=True) + "\n", encoding="ascii")
    print(f"{len(vectors):4} {path.relative_to(folder)}")


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    for file, kind, make in FILES:
        write(folder, file, kind, make.__doc__, make())
