"""Writes a film: an MP4 file of H.264 in which nothing is compressed, so that it takes no encoder to make it.

    film.py FILE SECONDS

128 by 96 pixels, eight pictures a second, each whole in itself; a bar goes from left to right once in eight seconds. It plays in
anything that plays H.264, and is about 150 kB a second.
"""

import re
import struct
import sys

COLUMNS, ROWS = 8, 6  # macroblocks of 16 by 16
PICTURES_A_SECOND = 8
PROFILE, COMPATIBILITY, LEVEL = 66, 0xC0, 30  # constrained baseline


class Bits:
    """Bits in the order in which H.264 has them."""

    def __init__(self):
        self.text = []

    def u(self, width, value):
        self.text.append(format(value, f"0{width}b"))
        return self

    def ue(self, value):
        """Exp-Golomb."""
        digits = format(value + 1, "b")
        self.text.append("0" * (len(digits) - 1) + digits)
        return self

    def octets(self, end="1"):
        text = "".join(self.text) + end
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def nal(kind, payload):
    # Three octets that would look like the beginning of another unit are kept apart.
    return bytes([kind]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)


def sequence():
    bits = Bits().u(8, PROFILE).u(8, COMPATIBILITY).u(8, LEVEL)
    bits.ue(0).ue(0).ue(2).ue(1).u(1, 0)  # id, frame numbers of four bits, in order, one reference, no gaps
    bits.ue(COLUMNS - 1).ue(ROWS - 1).u(1, 1).u(1, 1).u(1, 0).u(1, 0)  # no fields, no cropping, no more to say
    return nal(0x67, bits.octets())


def parameters():
    bits = Bits().ue(0).ue(0).u(1, 0).u(1, 0).ue(0).ue(0).ue(0).u(1, 0).u(2, 0)
    bits.ue(0).ue(0).ue(0).u(1, 1).u(1, 0).u(1, 0)  # the quantiser does not matter; the filter is spoken of below
    return nal(0x68, bits.octets())


def picture(number):
    """One picture: every macroblock of it as it is (I_PCM)."""
    head = Bits().ue(0).ue(7).ue(0).u(4, 0).ue(number % 2).u(1, 0).u(1, 0).ue(0).ue(1)
    bar = number % (COLUMNS * PICTURES_A_SECOND) // PICTURES_A_SECOND
    plain = Bits().ue(25).octets(end="")  # where the block before ended on an octet
    first = head.ue(25).octets(end="")
    payload = bytearray()
    for block in range(COLUMNS * ROWS):
        column, row = block % COLUMNS, block // COLUMNS
        light = 220 if column == bar else 60 + 10 * row
        payload += (first if block == 0 else plain) + bytes([light] * 256 + [100 + 8 * column] * 64 + [140] * 64)
    return nal(0x65, bytes(payload) + b"\x80")


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def full(kind, *parts, flags=0):
    return box(kind, struct.pack(">I", flags), *parts)


MATRIX = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def movie(sizes, offset):
    """The tables of a film whose pictures lie one after the other from `offset` on."""
    count, length = len(sizes), len(sizes) * 1000 // PICTURES_A_SECOND
    width, height = COLUMNS * 16, ROWS * 16
    sps, pps = sequence(), parameters()
    avcc = box(b"avcC", bytes([1, PROFILE, COMPATIBILITY, LEVEL, 0xFF, 0xE1]), struct.pack(">H", len(sps)), sps,
               b"\1", struct.pack(">H", len(pps)), pps)
    entry = box(b"avc1", bytes(6), struct.pack(">H16xHHIIIH", 1, width, height, 72 << 16, 72 << 16, 0, 1), bytes(32),
                struct.pack(">Hh", 24, -1), avcc)
    tables = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), entry),
        full(b"stts", struct.pack(">III", 1, count, 1000 // PICTURES_A_SECOND)),
        full(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
        full(b"stsz", struct.pack(">II", 0, count), struct.pack(f">{count}I", *sizes)),
        full(b"stco", struct.pack(">II", 1, offset)),
    )
    here = box(b"dinf", full(b"dref", struct.pack(">I", 1), full(b"url ", flags=1)))
    media = box(
        b"mdia",
        full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, length, 0x55C4, 0)),
        full(b"hdlr", struct.pack(">I4s12x", 0, b"vide"), b"\0"),
        box(b"minf", full(b"vmhd", bytes(8), flags=1), here, tables),
    )
    track = full(b"tkhd", struct.pack(">IIIIIQHHHH", 0, 0, 1, 0, length, 0, 0, 0, 0, 0), MATRIX,
                 struct.pack(">II", width << 16, height << 16), flags=3)
    header = full(b"mvhd", struct.pack(">IIIIIHHQ", 0, 0, 1000, length, 1 << 16, 1 << 8, 0, 0), MATRIX, bytes(24),
                  struct.pack(">I", 2))
    return box(b"moov", header, box(b"trak", track, media))


def main():
    path, seconds = sys.argv[1], int(sys.argv[2])
    pictures = [picture(number) for number in range(seconds * PICTURES_A_SECOND)]
    samples = [struct.pack(">I", len(picture)) + picture for picture in pictures]
    sizes = [len(sample) for sample in samples]
    kind = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomavc1")
    # The tables have the same length wherever they point.
    offset = len(kind) + len(movie(sizes, 0)) + 8
    with open(path, "wb") as film:
        film.write(kind + movie(sizes, offset) + box(b"mdat", *samples))


main()
