"""Stores files on a real Tahoe-LAFS grid and prints their caps, one a line, in the order of the files.

    python scripts/tahoe_grid.py DIR FILE...

The grid lives in DIR and in this one process: three storage servers and a client, Tahoe-LAFS's own node classes, which
speak over loopback as they would over a network. Each file becomes three shares, any two of which give it back. The grid
is over when the last cap is printed; the shares stay in DIR. Nothing but caps goes to stdout.
"""

import contextlib
import random
import socket
import sys
from pathlib import Path

from allmydata.client import create_client
from allmydata.immutable.upload import FileName
from twisted.internet import defer, task

SERVERS, NEEDED = 3, 2
DEADLINE_SECONDS = 60


def free_port(address):
    """A port that is free now, and which the system gives to nobody who asks for any: whoever did and listens at every address,
    as each node does at one such port, would have it at this one too. Tahoe-LAFS goes on without a port that it does not get.
    """
    with contextlib.suppress(OSError):
        first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        for _ in range(100):
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.bind((address, random.randint(10_000, first_given - 1)))
                return probe.getsockname()[1]
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def loopback_address():
    """One that nobody else is likely to use: a node wants its port in advance, and it must still be free then."""
    if sys.platform != "linux":
        return "127.0.0.1"
    return ".".join(["127"] + [str(random.randint(2, 250)) for _ in range(3)])


def node_dir(directory, name, settings):
    """A node directory with a `tahoe.cfg`; the node makes its own keys when it starts."""
    path = directory / name
    (path / "private").mkdir(parents=True)
    lines = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {value}" for key, value in values.items()]
    (path / "tahoe.cfg").write_text("\n".join(lines) + "\n")
    return path


async def start_server(directory, number):
    address = loopback_address()
    port = free_port(address)
    path = node_dir(directory, f"server{number}", {
        "node": {
            "nickname": f"server{number}",
            "web.port": "",
            "tub.port": f"tcp:{port}:interface={address}",
            "tub.location": f"tcp:{address}:{port}",
        },
        "storage": {"enabled": "true"},
    })
    node = await create_client(str(path))
    node.startService()
    key = (path / "node.pubkey").read_text().strip()[len("pub-"):]
    furl = (path / "private" / "storage.furl").read_text().strip()
    return node, key, furl


@contextlib.asynccontextmanager
async def running(directory):
    """The client of a grid that runs until the block ends."""
    nodes = []
    try:
        servers = []
        for number in range(SERVERS):
            node, key, furl = await start_server(directory, number)
            nodes.append(node)
            # A server in this list needs no introducer.
            servers.append(f'  {key}: {{ann: {{nickname: server{number}, anonymous-storage-FURL: "{furl}"}}}}\n')
        path = node_dir(directory, "client", {
            "node": {"nickname": "client", "web.port": "", "tub.port": "disabled", "tub.location": "disabled"},
            "storage": {"enabled": "false"},
            "client": {"shares.needed": NEEDED, "shares.happy": NEEDED, "shares.total": SERVERS},
        })
        (path / "private" / "servers.yaml").write_text("storage:\n" + "".join(servers))
        client = await create_client(str(path))
        client.startService()
        nodes.append(client)
        await client.storage_broker.when_connected_enough(SERVERS)
        yield client
    finally:
        await defer.gatherResults([defer.maybeDeferred(node.stopService) for node in nodes])


async def store(directory, files):
    async with running(directory) as client:
        for file in files:
            result = await client.upload(FileName(file, convergence=client.convergence))
            print(result.get_uri().decode("ascii"), flush=True)


def main(reactor, directory, *files):
    stored = defer.ensureDeferred(store(Path(directory), files))
    return stored.addTimeout(DEADLINE_SECONDS, reactor)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    task.react(main, sys.argv[1:])
