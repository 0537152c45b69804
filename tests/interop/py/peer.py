"""A kad-dht peer of somebody else's, on py-libp2p: joins by one address, gets a grid's record, and puts records of a grid
of its own, which it has signed itself.

    python peer.py NETWORK MULTIADDR GRID_KEY_HEX

Prints one JSON object: what it got, and what it put.
"""

import base64
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "scripts"))

import cbor2  # noqa: E402
import trio  # noqa: E402
import verify_record  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from libp2p import new_host  # noqa: E402
from libp2p.kad_dht import kad_dht, peer_routing, provider_store, routing_table, value_store  # noqa: E402
from libp2p.peer.peerinfo import info_from_p2p_addr  # noqa: E402
from libp2p.records.validator import NamespacedValidator, Validator  # noqa: E402
from libp2p.tools.anyio_service import background_trio_service  # noqa: E402
from multiaddr import Multiaddr  # noqa: E402

DAY = 86_400


def now():
    return int(time.time())


def record_key(grid):
    return f"/grid/{grid.hex()}"


def grid_id(grid):
    return "pub-v0-" + base64.b32encode(grid).decode().lower().rstrip("=")


class GridRecords(Validator):
    """Judges and orders records as a holder does."""

    def validate(self, key, value):
        self.rank(key, value)

    def select(self, key, values):
        return max(range(len(values)), key=lambda at: self.rank(key, values[at]))

    def rank(self, key, value):
        found = re.fullmatch("/grid/([0-9a-f]{64})", key)
        grid = bytes.fromhex(found[1] if found else "")
        if len(grid) != 32 or not verify_record.strict(grid):
            raise ValueError(f"{key} is no record key")
        try:
            r, delegation, _ = verify_record.judged(value, grid, "holder", now())
        except SystemExit as fault:
            raise ValueError(fault.code) from None
        return r[4], delegation[1], r[1], verify_record.opened("record/1", value)[0]


def sealed(secret, nickname, version):
    """A record of the grid whose key `secret` is: what it is called, and that it serves for free."""
    grid, issued = secret.public_key().public_bytes_raw(), now()
    fields = {0: 1, 1: issued * 1000 + version, 2: issued, 3: issued + 7 * DAY, 4: False, 5: issued, 6: nickname}
    payload = cbor2.dumps(fields | {9: [{0: "XXX", 1: 0}]}, canonical=True)
    signed = ["Signature1", bytes.fromhex("a10127"), b"lafs-clearinghouse/record/1\0" + grid, payload]
    signature = secret.sign(cbor2.dumps(signed))
    return bytes.fromhex("8443a10127a0") + cbor2.dumps(payload) + b"\x58\x40" + signature


async def get(dht, grid):
    value = await dht.get_value(record_key(grid))
    if value is None:
        raise LookupError(f"nobody has a record under {record_key(grid)}")
    return value


async def run(network, address, wanted):
    # py-libp2p has the protocol's name as a constant, of which each of its modules keeps a copy.
    for module in (kad_dht, peer_routing, provider_store, routing_table, value_store):
        module.PROTOCOL_ID = f"/lafs-clearinghouse/{network}/kad/1.0.0"
    host = new_host(muxer_preference="YAMUX", enable_quic=True)
    first = info_from_p2p_addr(Multiaddr(address))
    # `validator_changed`: otherwise it looks for validators of IPFS.
    validator = NamespacedValidator({"grid": GridRecords()}, strict_validation=True)
    dht = kad_dht.KadDHT(host, kad_dht.DHTMode.CLIENT, validator=validator, validator_changed=True)
    async with host.run(listen_addrs=[]), background_trio_service(dht):
        await host.connect(first)
        await dht.add_peer(first.peer_id, skip_server_mode_check=True)
        got = await get(dht, wanted)
        # Once more, as one who acts on it does.
        read, _, _ = verify_record.judged(got, wanted, "reader", now())

        secret = Ed25519PrivateKey.generate()
        grid = secret.public_key().public_bytes_raw()
        older, newer = (sealed(secret, *named) for named in (("py grid, at first", 0), ("py grid", 1)))
        await dht.put_value(record_key(grid), older)
        await dht.put_value(record_key(grid), newer)
        try:
            await dht.put_value(record_key(grid), older)
            raise AssertionError("py-libp2p puts what its selector calls older")
        except ValueError:
            pass
        # What it has put itself it would not ask the network for.
        dht.value_store.remove(record_key(grid).encode())
        back = await get(dht, grid)
        said = {"got": got, "nickname": read[6], "grid_id": grid_id(grid), "put": newer, "read_back": back}
        print(json.dumps(said, default=bytes.hex))


if __name__ == "__main__":
    network, address, wanted = sys.argv[1:]
    trio.run(run, network, address, bytes.fromhex(wanted))
