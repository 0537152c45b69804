"""A real client of a grid whose uploads are encoded as each order says.

    encodings.py DIR FURL SERVERS

Makes the client in DIR, waits until it is connected to SERVERS storage servers of the introducer at FURL, and prints the address
of its web API. Then each line on standard input, `NEEDED TOTAL SEGMENT`, is answered with `ok`: what is stored from then on becomes
TOTAL shares, any NEEDED of which give it back, cut into segments of SEGMENT octets. Ends when standard input does.
"""

import os
import sys
import threading
from pathlib import Path

from twisted.internet import reactor, task

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from allmydata.client import create_client  # noqa: E402
from tahoe_grid import free_port, loopback_address, node_dir  # noqa: E402
from twisted.internet import defer  # noqa: E402


def encode(client, needed, total, segment):
    client.encoding_params.update({"k": needed, "happy": 1, "n": total, "max_segment_size": segment})
    print("ok", flush=True)


def obey(client):
    for line in sys.stdin:
        reactor.callFromThread(encode, client, *(int(word) for word in line.split()))
    os._exit(0)


async def main(reactor, directory, furl, servers):
    address = loopback_address()
    port = free_port(address)
    path = Path(directory)
    node_dir(path.parent, path.name, {
        "node": {
            "nickname": path.name, "tub.port": "disabled", "tub.location": "disabled",
            "web.port": f"tcp:{port}:interface={address}",
        },
        "client": {"introducer.furl": furl, "shares.needed": 2, "shares.happy": 1, "shares.total": 3},
        "storage": {"enabled": "false"},
    })
    client = await create_client(directory)
    client.startService()
    await client.storage_broker.when_connected_enough(int(servers))
    print(f"http://{address}:{port}/", flush=True)
    threading.Thread(target=obey, args=(client,), daemon=True).start()
    await defer.Deferred()


if __name__ == "__main__":
    task.react(lambda reactor: defer.ensureDeferred(main(reactor, *sys.argv[1:])))
