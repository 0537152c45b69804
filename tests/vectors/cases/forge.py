"""Makes signed objects, right and wrong ones: an encoder that also writes what is forbidden, and an Ed25519 that also
signs what no honest signer would. Slow, not constant-time, standard library only: for test vectors and nothing else.

Written apart from the program and from scripts/verify_record.py, so that no mistake is made on both sides at once.
"""

import hashlib

# --- Ed25519 (RFC 8032), with the freedom to choose nonce, key and encoding -------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def add(p, q):
    """The sum of two points in extended coordinates."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * D * p[3] * q[3], 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar, point):
    """A multiple of a point."""
    out = NEUTRAL
    while scalar:
        if scalar & 1:
            out = add(out, point)
        point, scalar = add(point, point), scalar >> 1
    return out


def compress(point):
    """The 32 bytes of a point."""
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decompress(y, sign):
    """The point with this y and this lowest bit of x, or None."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if x * x % P != square:
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decompress(4 * pow(5, -1, P) % P, 0)
# A point of order 8, found by killing the large part of a point of full order.
TORSION = next(
    t
    for t in (times(L, p) for p in (decompress(y, 0) for y in range(2, 99)) if p)
    if compress(times(4, t)) != compress(NEUTRAL)
)


def number(*parts):
    """SHA-512 of the parts as a number."""
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


class Key:
    """A test key. `torsion` adds so many times a point of order 8 to the public half."""

    def __init__(self, name, torsion=0):
        self.name = name
        self.seed = hashlib.sha256(b"lafs-clearinghouse test key, never use: " + name.encode()).digest()
        digest = hashlib.sha512(self.seed).digest()
        self.scalar = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
        self.prefix = digest[32:]
        self.public = compress(add(times(self.scalar, BASE), times(torsion, TORSION)))

    def sign(self, message, salt=b"", wanted=lambda challenge: True, context=b""):
        """A signature; `salt` gives another nonce, `wanted` picks among nonces by their challenge."""
        for attempt in range(1000):
            more = salt + (attempt.to_bytes(2, "big") if attempt else b"")
            nonce = number(context, self.prefix, more, message) % L
            point = compress(times(nonce, BASE))
            challenge = number(context, point, self.public, message) % L
            if wanted(challenge):
                return point + ((nonce + challenge * self.scalar) % L).to_bytes(32, "little")
        raise ValueError("no such nonce")

    def sign_with_neutral(self, message, point):
        """A signature whose R is the neutral element in the encoding `point`: the equation holds without a nonce."""
        return point + (number(point, self.public, message) * self.scalar % L).to_bytes(32, "little")


def plus_order(signature):
    """The same signature with S + L in place of S."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + L).to_bytes(32, "little")


NEUTRAL_BYTES = compress(NEUTRAL)
SMALL_ORDER = [compress(times(n, TORSION)) for n in range(8)]
# y + p also fits into 255 bits for y < 19: second encodings of the same points. The last two have x = 0 and its sign
# bit set.
NEUTRAL_AGAIN = (P + 1).to_bytes(32, "little")
SECOND_ENCODINGS = [
    NEUTRAL_AGAIN,
    P.to_bytes(32, "little"),
    (P | 1 << 255).to_bytes(32, "little"),
    *((P + y).to_bytes(32, "little") for y in range(2, 19) if decompress(y, 0)),
    (1 | 1 << 255).to_bytes(32, "little"),
    (P - 1 | 1 << 255).to_bytes(32, "little"),
]
OFF_CURVE = next(bytes([y]) + bytes(31) for y in range(2, 99) if not decompress(y, 0))

# --- deterministic CBOR, and the other kinds --------------------------------------------------------------------------


class Raw(bytes):
    """CBOR to be taken as it stands: the way to write what the encoder would not."""


def head(major, value, width=None):
    """The head of an item; `width` (0, 1, 2, 4, 8 octets) makes it longer than need be."""
    if width is None:
        width = 0 if value < 24 else next(w for w in (1, 2, 4, 8) if value < 256**w)
    if width == 0:
        return bytes([major << 5 | value])
    return bytes([major << 5 | 23 + (1, 2, 4, 8).index(width) + 1]) + value.to_bytes(width, "big")


def cbor(value):
    """`value` in deterministic form; maps are sorted by key."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor(k) + cbor(value[k]) for k in sorted(value))
    raise TypeError(type(value))


# --- signed objects ---------------------------------------------------------------------------------------------------

PROTECTED = b"\xa1\x01\x27"
ENVELOPE_HEAD = b"\x84" + cbor(PROTECTED) + b"\xa0"


def to_be_signed(kind, signer, payload):
    """The Sig_structure of RFC 9052, 4.4. `signer` is 32 bytes of public key."""
    return cbor(["Signature1", PROTECTED, b"lafs-clearinghouse/" + kind.encode() + b"\0" + signer, payload])


def envelope(payload, signature):
    """The one form of the envelope."""
    return ENVELOPE_HEAD + cbor(payload) + cbor(signature)


def seal(kind, payload, key, **how):
    """`payload` signed by `key`."""
    return envelope(payload, key.sign(to_be_signed(kind, key.public, payload), **how))


def identity(kind, grid, payload):
    """The name of an object of `grid` (32 bytes of key)."""
    return hashlib.sha256(kind.encode() + b"\0" + grid + payload).digest()


def base32(data):
    """Tahoe's base32: lower case, no padding."""
    bits = int.from_bytes(data, "big") << -len(data) * 8 % 5
    count = -(-len(data) * 8 // 5)
    return "".join("abcdefghijklmnopqrstuvwxyz234567"[bits >> 5 * (count - 1 - i) & 31] for i in range(count))


def grid_id(public):
    """The text form of a public key."""
    return "pub-v0-" + base32(public)
