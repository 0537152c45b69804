"""Stores files on a real grid, cut as told, and prints a JSON line for each: its cap and the secret its key is made with.

    immutable.py DIR FILE,K,N,MAX_SEGMENT...

The shares stay in DIR, as those of scripts/tahoe_grid.py, whose servers these are.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import tahoe_grid  # noqa: E402
from allmydata.client import create_client  # noqa: E402
from allmydata.immutable.upload import FileName  # noqa: E402
from twisted.internet import defer, task  # noqa: E402


async def store(directory, wanted):
    nodes = []
    try:
        servers = []
        for number in range(tahoe_grid.SERVERS):
            node, key, furl = await tahoe_grid.start_server(directory, number)
            nodes.append(node)
            servers.append(f'  {key}: {{ann: {{nickname: server{number}, anonymous-storage-FURL: "{furl}"}}}}\n')
        path = tahoe_grid.node_dir(directory, "client", {
            "node": {"nickname": "client", "web.port": "", "tub.port": "disabled", "tub.location": "disabled"},
            "storage": {"enabled": "false"},
        })
        (path / "private" / "servers.yaml").write_text("storage:\n" + "".join(servers))
        client = await create_client(str(path))
        client.startService()
        nodes.append(client)
        await client.storage_broker.when_connected_enough(tahoe_grid.SERVERS)
        for line in wanted:
            file, needed, total, max_segment = line.split(",")
            client.encoding_params.update(k=int(needed), happy=1, n=int(total), max_segment_size=int(max_segment))
            result = await client.upload(FileName(file, convergence=client.convergence))
            print(json.dumps({"cap": result.get_uri().decode(), "secret": client.convergence.hex()}), flush=True)
    finally:
        await defer.gatherResults([defer.maybeDeferred(node.stopService) for node in nodes])


def main(reactor, directory, *wanted):
    stored = defer.ensureDeferred(store(Path(directory), wanted))
    return stored.addTimeout(tahoe_grid.DEADLINE_SECONDS, reactor)


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
