"""A stranger with a foreign cap and one address finds the grid that the file lives on.

    scripts/demo [--nodes N] [--grids M]

Real grid keys from Tahoe-LAFS's `grid-manager`, a real file on a real Tahoe-LAFS grid, and real nodes that speak libp2p
over loopback. Every claim that is printed has been checked; the first that fails ends the story with status 1.
"""

import argparse
import datetime
import json
import os
import queue
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NETWORK_UP_SECONDS = 90
STOP_SECONDS = 15
# What `resolve --json` promises to its readers.
PROMISED = """
    grid_id sequence issued_at_unix_seconds expires_at_unix_seconds nickname contact gateways rates nodes clearing authority
    evidence moved_from size_bytes identity source age_seconds agreeing_holders elapsed_ms
""".split()


class Failed(Exception):
    """The story cannot go on; the text says why."""


class Stage:
    """The folder, the programs, and every process that was started."""

    def __init__(self, target):
        self.programs = target / "debug"
        parent = target / "demo"
        parent.mkdir(parents=True, exist_ok=True)
        self.dir = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
        self.started = []

    def run(self, *words, env=None):
        """Runs a program to its end and returns what it printed."""
        words = [str(word) for word in words]
        done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise Failed(f"`{' '.join(words)}` ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def clearinghouse(self, *words, env=None):
        return self.run(self.programs / "clearinghouse", *words, env=env)

    def start(self, name, *words):
        """Starts a program that stays. Its log is beside the others."""
        log = self.dir / f"{name}.log"
        with open(log, "wb") as errors:
            process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # Ctrl-C reaches this script alone, which then stops them in its own order
            )
        self.started.append((name, process, log))
        lines = queue.Queue()

        def read():
            for line in process.stdout:
                lines.put(line)
            lines.put("")

        threading.Thread(target=read, daemon=True).start()
        return lines

    def close(self):
        """Stops everything that was started, newest first, and removes the folder."""
        stubborn = []
        for _, process, _ in reversed(self.started):
            if process.poll() is None:
                process.terminate()
        for name, process, _ in reversed(self.started):
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                stubborn.append(name)
        shutil.rmtree(self.dir, ignore_errors=True)
        return stubborn

    def logs(self):
        for name, process, log in self.started:
            tail = log.read_text(errors="replace").splitlines()[-15:]
            for line in tail:
                print(f"  {name}: {line}", file=sys.stderr)


def tell(text=""):
    print(text, flush=True)


def short(text, head=34, tail=6):
    return text if len(text) <= head + tail + 1 else f"{text[:head]}…{text[-tail:]}"


def raise_testnet(stage, nodes, grids):
    lines = stage.start("testnet", stage.programs / "testnet", "up", "--nodes", nodes, "--grids", grids, "--dir",
                        stage.dir / "testnet", "--json")
    try:
        line = lines.get(timeout=NETWORK_UP_SECONDS)
    except queue.Empty:
        raise Failed(f"the testnet was not ready within {NETWORK_UP_SECONDS} s") from None
    if not line:
        raise Failed("the testnet ended before it was ready")
    ready = json.loads(line)
    if ready["ready"] is not True or len(ready["nodes"]) != nodes or len(ready["grids"]) != grids:
        raise Failed(f"the testnet says {line}")
    silent = [node["name"] for node in ready["nodes"] if not node["api"].startswith("http://127.")]
    if silent:
        raise Failed(f"no local API at {', '.join(silent)}")
    return ready


def raise_grid(stage, tools, network, name, rate):
    """A grid with a key from the real tool: its node publishes the record that this key signed."""
    slug = name.lower()
    manager, home = stage.dir / f"{slug}-grid-manager", stage.dir / f"{slug}-node"
    stage.run(tools / "grid-manager", "--config", manager, "create")
    grid_id = stage.run(tools / "grid-manager", "--config", manager, "public-identity")
    stage.clearinghouse(
        "init", home, "--grid-manager", manager, "--nickname", f"{name} grid", "--contact", f"mailto:ops@{slug}.example",
        "--rate", rate, "--listen", "127.0.0.1:0", "--bootstrap", network["bootstrap"][0], "--network", network["network"],
        "--allow-private-addresses",
    )
    stage.start(f"{slug}-node", stage.programs / "clearinghouse", "run", "-d", home)
    status = json.loads(stage.clearinghouse("status", "-d", home, "--wait", 60, "--json"))
    if status["grid_id"] != grid_id:
        raise Failed(f"`status` speaks of {status['grid_id']}, and the real grid-manager of {grid_id}")
    return grid_id, manager, status


class Stranger:
    """A separate process each time, with a state of its own and one address."""

    def __init__(self, stage, network, name):
        self.stage = stage
        home = stage.dir / name
        home.mkdir()
        # Not even the configuration of whoever runs this.
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
        self.env["HOME"] = str(home)
        self.where = ["--bootstrap", network["bootstrap"][0], "--network", network["network"], "--allow-private-addresses"]

    def resolve(self, question, policy="fast"):
        began = time.monotonic()
        answer = json.loads(self.stage.clearinghouse("resolve", question, "--policy", policy, "--json", *self.where,
                                                     env=self.env))
        answer["process_ms"] = (time.monotonic() - began) * 1000
        missing = [name for name in PROMISED if name not in answer]
        if missing:
            raise Failed(f"the answer lacks {', '.join(missing)}")
        return answer


def price(line):
    whole, scale = int(line["price_per_gib"]), int(line["scale"])
    text = f"{whole:0{scale + 1}d}"
    text = f"{text[:-scale]}.{text[-scale:]}".rstrip("0").rstrip(".") if scale else text
    until = datetime.datetime.fromtimestamp(line["committed_until_unix_seconds"], datetime.timezone.utc)
    return f"{text} {line['asset']}/GiB, binding until {until:%Y-%m-%d}"


def story(stage, nodes, grids):
    tools = Path(sys.executable).parent
    began = time.monotonic()
    tell(f"1. A network. {nodes} nodes start on this machine; {grids} of them speak for a grid each and publish its signed record.")
    network = raise_testnet(stage, nodes, grids)
    tell(f"   Every record has been read back after {time.monotonic() - began:.1f} s. One address of it is all that is handed on:")
    tell(f"   {network['bootstrap'][0]}")

    tell("\n2. Two more grids, with keys made by Tahoe-LAFS's own `grid-manager create`.")
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=180)
    rates = {"Alder": f"0.02 USD/GiB until {until:%Y-%m-%d}", "Birch": f"0.015 EUR/GiB until {until:%Y-%m-%d}"}
    ours = {}
    for name, rate in rates.items():
        grid_id, _, status = raise_grid(stage, tools, network, name, rate)
        ours[name] = grid_id
        tell(f"   {name} grid is {grid_id};")
        tell(f"   its node has signed its record with that key and published it: {published(status)}.")

    tell("\n3. A file. On the Alder grid, Tahoe-LAFS itself stores one megabyte on three storage servers, as 2-of-3 shares.")
    file = stage.dir / "letter.bin"
    file.write_bytes(os.urandom(1_000_000))
    cap = stage.run(sys.executable, HERE / "tahoe_grid.py", stage.dir / "tahoe", file)
    if not cap.startswith("URI:CHK:"):
        raise Failed(f"Tahoe-LAFS answered with no CHK cap: {cap}")
    foreign = stage.clearinghouse("cap", "foreign", cap, "--grid", ours["Alder"])
    tell(f"   Its cap opens it for clients of that grid alone:\n   {cap}")
    tell(f"   With the grid's name in it, anybody can be sent it:\n   {foreign}")

    tell("\n4. A stranger, a new process with no state, has that cap and the one address, and asks whose it is.")
    stranger = Stranger(stage, network, "stranger")
    answer = stranger.resolve(foreign)
    if answer["grid_id"] != ours["Alder"] or answer["nickname"] != "Alder grid":
        raise Failed(f"the cap led to {answer['grid_id']}, `{answer['nickname']}`")
    if answer["home_cap"] != cap:
        raise Failed(f"the cap came back as {answer['home_cap']}")
    if answer["contact"] != ["mailto:ops@alder.example"]:
        raise Failed(f"the contact came back as {answer['contact']}")
    tell(f"   {answer['nickname']}, {answer['contact'][0]}; {price(answer['rates'][0])};")
    tell(f"   a record of {answer['size_bytes']} bytes, whose signature it verified itself, "
         f"after {answer['elapsed_ms']:.0f} ms ({answer['source']}).")

    tell("\n5. Each grid of the network, asked for by a stranger that has never asked anything, and then again by the same one.")
    everyone = list(ours.values()) + [grid["grid_id"] for grid in network["grids"]]
    first, again = [], []
    for number, grid_id in enumerate(everyone):
        newcomer = Stranger(stage, network, f"newcomer{number}")
        for times, policy in ((first, "fast"), (again, "cached")):
            answer = newcomer.resolve(grid_id, policy)
            if answer["grid_id"] != grid_id:
                raise Failed(f"asked for {grid_id}, told of {answer['grid_id']}")
            times.append(answer["elapsed_ms"])
    tell(f"   {len(first)} of {len(everyone)} found and verified:")
    tell(f"   {spread(first)} the first time; {spread(again)} from what it remembers.")

    return (
        f"A cap that Tahoe-LAFS made led a stranger with one address to its grid's signed record, and {len(first)} of "
        f"{len(everyone)} grids were found over {nodes + len(ours)} nodes, in {statistics.median(first):.0f} ms in the median."
    )


def published(status):
    return f"held by {status['published_to']} nodes"


def spread(times):
    return f"{statistics.median(times):.0f} ms in the median, {max(times):.0f} at most"


def complain(stage, reason):
    print(f"demo: error: {reason}", file=sys.stderr)
    stage.logs()


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__.split("\n")[0])
    parser.add_argument("target", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--nodes", type=int, default=20, help="nodes of the network [default: 20]")
    parser.add_argument("--grids", type=int, default=5, help="grids among them [default: 5]")
    options = parser.parse_args()

    def end(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    stage = Stage(options.target.resolve())
    status, verdict, began = 1, None, time.monotonic()
    try:
        verdict = story(stage, options.nodes, options.grids)
        status = 0
    except Failed as reason:
        complain(stage, reason)
    except (KeyError, OSError, ValueError, subprocess.TimeoutExpired) as reason:
        # A program that is not there, hangs, or prints something else than it promises.
        complain(stage, f"{type(reason).__name__}: {reason}")
    finally:
        # A second Ctrl-C must not leave anything running.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stubborn = stage.close()
        if stubborn:
            print(f"demo: error: did not stop when asked to, and was killed: {', '.join(stubborn)}", file=sys.stderr)
            status = 1
    if status == 0:
        tell(f"\nTold in {time.monotonic() - began:.0f} s; everything that was started is stopped again.\n\n{verdict}")
    return status


if __name__ == "__main__":
    sys.exit(main())
