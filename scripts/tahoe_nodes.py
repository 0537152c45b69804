"""Raises a real Tahoe-LAFS grid, each node a process of its own, and keeps it until standard input ends.

    python scripts/tahoe_nodes.py DIR [SERVERS [NEEDED]] [--grid-manager GM]

An introducer, SERVERS storage servers (default 3) with certificates of a grid manager, and a client that trusts that grid
manager and is connected to all of them. A file that the client stores becomes SERVERS shares, any NEEDED (default 2) of which
give it back. Everything lies in DIR, which is made, the grid manager too unless GM names the folder of one; every port is free
and on loopback.

When the grid is ready, one line of JSON goes to standard output and to DIR/grid.json:

    {"grid_id": "pub-v0-…", "grid_manager": DIR, "introducer": {"dir": DIR, "pid": N},
     "servers": [{"dir": DIR, "pid": N, "id": "v0-…"}, …], "client": {"dir": DIR, "pid": N, "api": "http://…/"}}

The client's `api` stores and reads files (`PUT /uri`, `GET /uri/CAP`). A server's `pid` may be stopped (SIGSTOP), continued or
killed. Whoever started this holds its standard input open: when that ends, on SIGTERM, or when this process dies, all nodes die.
What they say goes to DIR/NAME.log.
"""

import contextlib
import io
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from twisted.internet import pollreactor

# The default reactor shares a kernel object between a process and its forks; this one's only one is its waker, see `become`.
pollreactor.install()

# All of it is imported once, here, and every node is a fork of this process.
from allmydata.cli.grid_manager import grid_manager  # noqa: E402
from allmydata.client import create_client  # noqa: E402
from allmydata.crypto import ed25519  # noqa: E402
from allmydata.introducer.server import create_introducer  # noqa: E402
from tahoe_grid import free_port, loopback_address, node_dir  # noqa: E402
from twisted.internet import defer, reactor  # noqa: E402

# Tahoe-LAFS tries a connection that failed again after longer and longer pauses.
DEADLINE_SECONDS = 150
POLL_SECONDS = 0.02


def run_grid_manager(*words):
    """What the real `grid-manager` prints."""
    # Some of it is printed as text and some as octets: both find their way into a text stream over octets.
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(printed):
        grid_manager([str(word) for word in words], standalone_mode=False)
    printed.flush()
    return printed.buffer.getvalue().decode()


def logs(nodes):
    """The ends of what these nodes have said, since their folder may be gone when somebody wants to look."""
    ends = [(node.name, node.path.with_suffix(".log").read_text(errors="replace").strip()[-2000:]) for node in nodes]
    return "".join(f"\n--- {name} said:\n{end}" for name, end in ends if end)


def wait_for(what, found):
    """What `found` returns as soon as it is something."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := found()):
        if time.monotonic() > deadline:
            sys.exit(f"tahoe_nodes: error: no {what} after {DEADLINE_SECONDS} seconds{logs(Node.running.values())}")
        for pid in list(Node.running):
            if os.waitpid(pid, os.WNOHANG)[0]:
                node = Node.running.pop(pid)
                sys.exit(f"tahoe_nodes: error: {node.name} has ended{logs([node])}")
        time.sleep(POLL_SECONDS)
    return value


def read_when_there(path):
    return wait_for(path, lambda: path.exists() and path.read_text().strip())


class Node:
    """A node directory, and the process that runs in it."""

    running = {}
    # Of this pipe only the first process holds the writing end: the others read its end when it dies.
    alive, held = os.pipe()

    def __init__(self, directory, name, settings):
        self.address = loopback_address()
        self.port = free_port(self.address)
        place = {
            "nickname": name,
            "tub.port": f"tcp:{self.port}:interface={self.address}",
            "tub.location": f"tcp:{self.address}:{self.port}",
            "web.port": "",
        }
        settings = {"node": {**place, **settings.pop("node", {})}, **settings}
        self.path = node_dir(directory, name, settings)
        self.name = name
        self.pid = None

    def start(self, create, started=None):
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.become(create, started)
            finally:
                os._exit(1)
        Node.running[self.pid] = self
        return self

    def become(self, create, started):
        """The forked process is the node from here on."""
        log = os.open(self.path.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(Node.held)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        threading.Thread(target=lambda: os._exit(0 if os.read(Node.alive, 1) == b"" else 1), daemon=True).start()
        # The waker is a pipe, shared with all other forks until it is replaced.
        reactor.removeReader(reactor.waker)
        reactor._internalReaders.discard(reactor.waker)
        reactor.waker = None
        reactor.installWaker()

        async def run():
            node = await create(str(self.path))
            node.startService()
            if started:
                await started(node)

        def failed(failure):
            failure.printTraceback(sys.stderr)
            os._exit(1)

        reactor.callWhenRunning(lambda: defer.ensureDeferred(run()).addErrback(failed))
        reactor.run(installSignalHandlers=False)

    def described(self, **more):
        return {"dir": str(self.path), "pid": self.pid, **more}


def storage_server(directory, number, furl, manager):
    """A server's directory, with a key and a certificate for it."""
    name = f"server{number}"
    node = Node(directory, name, {
        "client": {"introducer.furl": furl},
        "storage": {"enabled": "true", "grid_management": "true"},
        "grid_manager_certificates": {"default": "certificate.json"},
    })
    private, public = ed25519.create_signing_keypair()
    (node.path / "private" / "node.privkey").write_bytes(ed25519.string_from_signing_key(private) + b"\n")
    key = ed25519.string_from_verifying_key(public).decode()
    run_grid_manager("--config", manager, "add", name, key)
    (node.path / "certificate.json").write_text(run_grid_manager("--config", manager, "sign", name, 365))
    return node, key[len("pub-"):]


def raise_grid(directory, servers, needed, manager):
    directory.mkdir(parents=True)
    introducer = Node(directory, "introducer", {}).start(create_introducer)
    # The introducer starts while the grid manager's files are made.
    if not manager.exists():
        run_grid_manager("--config", manager, "create")
    grid_id = run_grid_manager("--config", manager, "public-identity").strip()
    furl = read_when_there(introducer.path / "private" / "introducer.furl")

    storage = [storage_server(directory, number, furl, manager) for number in range(servers)]
    for node, _ in storage:
        node.start(create_client)

    client = Node(directory, "client", {
        "client": {
            "introducer.furl": furl,
            "shares.needed": needed,
            "shares.happy": servers,
            "shares.total": servers,
        },
        "storage": {"enabled": "false"},
        "grid_managers": {"thisgrid": grid_id},
    })
    web_port = free_port(client.address)
    config = client.path / "tahoe.cfg"
    web = f"web.port = tcp:{web_port}:interface={client.address}"
    config.write_text(config.read_text().replace("web.port = ", web))
    connected = client.path / "connected"

    async def when_connected(node):
        await node.storage_broker.when_connected_enough(servers)
        connected.touch()

    client.start(create_client, when_connected)
    wait_for("connection of the client to every server", connected.exists)
    cache = client.path / "private" / "introducer_default_cache.yaml"
    # Every server's address for HTTPS, once each.
    wait_for(cache, lambda: cache.exists() and cache.read_text().count("anonymous-storage-NURLs") >= servers)

    return {
        "grid_id": grid_id,
        "grid_manager": str(manager),
        "introducer": introducer.described(),
        "servers": [node.described(id=key) for node, key in storage],
        "client": client.described(api=f"http://{client.address}:{web_port}/"),
    }


def main():
    words, manager = sys.argv[1:], None
    if len(words) > 2 and words[-2] == "--grid-manager":
        manager = Path(words[-1]).absolute()
        words = words[:-2]
    if not 1 <= len(words) <= 3:
        sys.exit(__doc__)
    directory = Path(words[0]).absolute()
    servers, needed = (int(word) for word in (words[1:] + ["3", "2"][len(words) - 1:]))
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        grid = json.dumps(raise_grid(directory, servers, needed, manager or directory / "grid-manager"))
        (directory / "grid.json").write_text(grid + "\n")
        print(grid, flush=True)
        while os.read(0, 4096):
            pass
    finally:
        for pid in Node.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # Nothing writes to DIR any more when this process ends.
        for pid in Node.running:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
