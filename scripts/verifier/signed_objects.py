"""Signed objects by docs/spec/signed-objects.md: the envelope, deterministic CBOR, strict Ed25519.

`cbor2` and `cryptography` are both more lenient than the specification: what they let pass is caught here.
"""

import hashlib

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
HEAD, PROTECTED = bytes.fromhex("84 43a10127 a0"), bytes.fromhex("a10127")
MAX_DEPTH = 4


class Refused(Exception):
    """The class of the fault, and its place."""


def need(truth, place, fault="field"):
    """Raises what `truth` does not hold for; returns True otherwise, so that it may stand in an `and`."""
    if not truth:
        raise Refused(fault, place)
    return True


def strict(point):
    """Whether 32 bytes are a point in its one encoding, and not one of the eight of small order."""
    y = int.from_bytes(point, "little") & 2**255 - 1
    on_curve = pow((y * y - 1) * (D * y * y + 1), (P - 1) // 2, P) == 1
    return y < P and on_curve and y not in (0, 1, P - 1, Y8, P - Y8)


def verify(public, message, signature):
    """Strict verification; `public` has passed `strict`. OpenSSL checks the equation (without the cofactor) and S."""
    need(int.from_bytes(signature[32:], "little") < L and strict(signature[:32]), "R or S", "signature")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        need(False, "the equation", "signature")


def verify_object(kind, public, payload, signature):
    """Whether `public` signed `payload` as an object of this type."""
    aad = f"lafs-clearinghouse/{kind}\0".encode() + public
    verify(public, cbor2.dumps(["Signature1", PROTECTED, aad, payload]), signature)


def identity(kind, grid, payload):
    """The name of an object of `grid`."""
    return hashlib.sha256(kind.encode() + b"\0" + grid + payload).digest()


def opened(data):
    """Payload and signature: written anew as an envelope they must give the same bytes."""
    for at in range(len(HEAD) + 1, len(HEAD) + 4):
        payload, signature = data[at:-66], data[-64:]
        if HEAD + cbor2.dumps(payload) + b"\x58\x40" + signature == data:
            return payload, signature
    raise Refused("envelope", "not in its one form")


def subset(value, depth=1):
    """Whether only the allowed types occur, not too deep."""
    if type(value) is dict:
        return depth <= MAX_DEPTH and all(type(k) is int and k >= 0 and subset(v, depth + 1) for k, v in value.items())
    if type(value) is list:
        return depth <= MAX_DEPTH and all(subset(item, depth + 1) for item in value)
    return type(value) in (bytes, str, bool) or type(value) is int and value >= 0


def decoded(payload):
    """The item in `payload`: written anew it must give the same bytes, for cbor2 reads many forms of a value."""
    try:
        value = cbor2.loads(payload)
        same = subset(value) and cbor2.dumps(value, canonical=True) == payload
    except Exception:  # cbor2 has many ways to fail: tags, dates, depth
        same = False
    return need(same, "payload", "non-canonical") and value
