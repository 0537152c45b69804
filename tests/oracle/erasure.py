"""Blocks that the real zfec makes: a JSON line for each k and N given as K,N arguments.

Each segment is bytes that sha256 makes of k and N, so that the other side makes the same.
"""

import hashlib
import json
import sys

import zfec

BLOCK_BYTES = 64


def segment(needed, total):
    counter, made = 0, b""
    while len(made) < needed * BLOCK_BYTES:
        made += hashlib.sha256(f"{needed},{total},{counter}".encode()).digest()
        counter += 1
    return made


for pair in sys.argv[1:]:
    needed, total = map(int, pair.split(","))
    whole = segment(needed, total)
    primaries = [whole[i * BLOCK_BYTES:(i + 1) * BLOCK_BYTES] for i in range(needed)]
    blocks = zfec.Encoder(needed, total).encode(primaries)
    print(json.dumps({"needed": needed, "total": total, "segment": whole.hex(), "blocks": [b.hex() for b in blocks]}))
