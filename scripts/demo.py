"""A file of one Tahoe-LAFS grid is found, fetched, verified and paid for by somebody whose home is another.

    scripts/demo [--nodes N] [--grids M]

Two real Tahoe-LAFS grids, with keys from the real `grid-manager` and a file that the real client stored, and real nodes that
speak libp2p over loopback. Every claim that is printed has been checked; the first that fails ends the story with status 1.
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
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
NETWORK_UP_SECONDS = 90
TAHOE_UP_SECONDS = 90
# Exit code of a reader that its home gateway does not know, or whom its rules refuse.
REFUSED = 4
# What Birch asks for, how much it lends, and what a reader is ready to pay.
BIRCH_PRICE, BIRCH_CREDIT, MAX_PRICE = "5 USD/GiB", "10 USD", "0.10 USD"
# The rules of Alder's operator.
RULES = """
accept-terms-up-to = ["10 USD"]

[grids]
birch = "{birch}"
cedar = "{cedar}"

[retail]
asset = "USD"
markup = "10 %"

[retail.conversions]
USD = "1"

[[rule]]
name = "numbers that we dial"
grids = ["birch"]
up-to = ["6 USD/GiB"]
action = "allow"

[[rule]]
name = "1-900 numbers"
grids = ["cedar"]
action = "deny"
message = "{message}"
"""
DENIED = "that is a 1-900 number: completely blocked"
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

    def run(self, *words, env=None, status=0):
        """Runs a program to its end, which must be with `status`, and returns what it printed."""
        words = [str(word) for word in words]
        done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if done.returncode != status:
            raise Failed(f"`{' '.join(words)}` ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def clearinghouse(self, *words, env=None, status=0):
        return self.run(self.programs / "clearinghouse", *words, env=env, status=status)

    def start(self, name, *words):
        """Starts a program that stays. Its log is beside the others."""
        log = self.dir / f"{name}.log"
        with open(log, "wb") as errors:
            process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.PIPE,  # held open: should this script be killed, the Tahoe-LAFS grids end with it
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


def show(printed):
    """What a program printed."""
    for line in printed.splitlines():
        tell(f"   {line}".rstrip())


def short(text, head=34, tail=6):
    return text if len(text) <= head + tail + 1 else f"{text[:head]}…{text[-tail:]}"


def ready_line(lines, what, seconds):
    """The line of JSON with which something that was started says that it is ready."""
    try:
        line = lines.get(timeout=seconds)
    except queue.Empty:
        raise Failed(f"{what} was not ready within {seconds} s") from None
    if not line:
        raise Failed(f"{what} ended before it was ready")
    return json.loads(line)


def start_testnet(stage, nodes, grids):
    return stage.start("testnet", stage.programs / "testnet", "up", "--nodes", nodes, "--grids", grids, "--dir",
                       stage.dir / "testnet", "--json")


def testnet_ready(lines, nodes, grids):
    ready = ready_line(lines, "the testnet", NETWORK_UP_SECONDS)
    if ready["ready"] is not True or len(ready["nodes"]) != nodes or len(ready["grids"]) != grids:
        raise Failed(f"the testnet says {ready}")
    silent = [node["name"] for node in ready["nodes"] if not node["api"].startswith("http://127.")]
    if silent:
        raise Failed(f"no local API at {', '.join(silent)}")
    return ready


def start_tahoe(stage, name):
    """A real Tahoe-LAFS grid: introducer, three storage servers, a client; 2-of-3 shares."""
    slug = name.lower()
    return stage.start(f"{slug}-grid", sys.executable, HERE / "tahoe_nodes.py", stage.dir / f"{slug}-tahoe")


class Grid:
    """A grid with a key from the real tool, and its node, which publishes the record that this key signed."""

    def __init__(self, stage, network, name, manager, grid_id, rate, gateway=()):
        self.stage, self.name, self.grid_id = stage, name, grid_id
        slug = name.lower()
        self.home = stage.dir / f"{slug}-node"
        stage.clearinghouse(
            "init", self.home, "--grid-manager", manager, "--nickname", f"{name} grid", "--contact",
            f"mailto:ops@{slug}.example", "--rate", rate, "--listen", "127.0.0.1:0", "--bootstrap", network["bootstrap"][0],
            "--network", network["network"], "--allow-private-addresses", *gateway,
        )
        stage.start(f"{slug}-node", stage.programs / "clearinghouse", "run", "-d", self.home)

    def published(self):
        """How many nodes hold its record."""
        status = json.loads(self.stage.clearinghouse("status", "-d", self.home, "--wait", 60, "--json"))
        if status["grid_id"] != self.grid_id:
            raise Failed(f"`status` speaks of {status['grid_id']}, and the real grid-manager of {self.grid_id}")
        return status["published_to"]


def grid_of_tahoe(stage, network, name, tahoe, rate):
    """The node of a real grid, with a gateway that reads from the storage servers that the grid's client knows."""
    gateway = ("--tahoe-node", tahoe["client"]["dir"], "--gateway-listen", "127.0.0.1:0", "--credit-limit", BIRCH_CREDIT)
    return Grid(stage, network, name, tahoe["grid_manager"], tahoe["grid_id"], rate, gateway)


def grid_with_price(stage, network, name, rate):
    """The node of a grid that has a key and a price, and nobody reads from it here."""
    tool, manager = Path(sys.executable).parent / "grid-manager", stage.dir / f"{name.lower()}-grid-manager"
    stage.run(tool, "--config", manager, "create")
    grid_id = stage.run(tool, "--config", manager, "public-identity")
    return Grid(stage, network, name, manager, grid_id, rate)


class TahoeClient:
    """The real client of a grid, by its web API."""

    # Loopback is never asked of a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __init__(self, tahoe):
        self.api = tahoe["client"]["api"]

    def ask(self, method, path, content=b""):
        request = urllib.request.Request(self.api + path, data=content, method=method)
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            raise Failed(f"Tahoe-LAFS answered {error.code}: {error.read().decode(errors='replace')}") from None

    def store(self, content):
        return self.ask("PUT", "uri", content)

    def make_directory(self, children):
        directory = self.ask("POST", "uri?t=mkdir")
        for name, content in children.items():
            self.ask("PUT", f"uri/{urllib.parse.quote(directory, safe='')}/{urllib.parse.quote(name)}", content)
        return directory


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
    if int(line["price_per_gib"]) == 0:
        return "free"
    whole, scale = int(line["price_per_gib"]), int(line["scale"])
    text = f"{whole:0{scale + 1}d}"
    text = f"{text[:-scale]}.{text[-scale:]}".rstrip("0").rstrip(".") if scale else text
    until = datetime.datetime.fromtimestamp(line["committed_until_unix_seconds"], datetime.timezone.utc)
    return f"{text} {line['asset']}/GiB, binding until {until:%Y-%m-%d}"


class Reader:
    """Somebody whose home is another grid, by its gateway."""

    def __init__(self, stage, home, name):
        self.stage, self.dir = stage, stage.dir / name
        self.home, self.nurl = home, stage.clearinghouse("gateway", "url", "-d", home.home)

    def join(self):
        answer = json.loads(self.stage.clearinghouse("join", self.nurl, "-d", self.dir, "--json"))
        if answer["home_grid_id"] != self.home.grid_id:
            raise Failed(f"`join` speaks of {answer['home_grid_id']}, and the home is {self.home.grid_id}")
        return answer

    def does(self, *words, status=0):
        return self.stage.clearinghouse(*words, "-d", self.dir, status=status)

    def get(self, cap, name, *options, status=0):
        """Fetches into a file of this name; the file, and how many seconds it took."""
        began, file = time.monotonic(), self.stage.dir / name
        self.does("get", cap, "-o", file, *options, status=status)
        return file, time.monotonic() - began


def story(stage, nodes, grids):
    began = time.monotonic()
    tell("1. Two real Tahoe-LAFS grids start, Alder and Birch: each an introducer, three storage servers that its own grid manager")
    tell(f"   has certified, and a client. And a network of {nodes} nodes; {grids} of them publish the signed record of a grid each.")
    starting = {name: start_tahoe(stage, name) for name in ("Alder", "Birch")}
    testnet = start_testnet(stage, nodes, grids)
    network = testnet_ready(testnet, nodes, grids)
    tell(f"   Every record has been read back after {time.monotonic() - began:.1f} s. One address of the network is handed on:")
    tell(f"   {network['bootstrap'][0]}")
    tahoe = {name: ready_line(lines, f"the {name} grid", TAHOE_UP_SECONDS) for name, lines in starting.items()}
    tell(f"   Both grids stand after {time.monotonic() - began:.1f} s.")

    tell("\n2. A node joins the network for each of the two: it signs with the key of Tahoe-LAFS's own `grid-manager`, and opens a")
    tell("   gateway to the storage servers. Alder's files are free, Birch's have a price, and so have those of a third, Cedar.")
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=180)
    rates = {"Alder": "free", "Birch": f"{BIRCH_PRICE} until {until:%Y-%m-%d}"}
    ours = [grid_of_tahoe(stage, network, name, tahoe[name], rate) for name, rate in rates.items()]
    ours.append(grid_with_price(stage, network, "Cedar", f"0.02 USD/GiB until {until:%Y-%m-%d}"))
    alder, birch, cedar = ours
    for grid in ours:
        tell(f"   {grid.name} grid is {grid.grid_id}; its record is held by {grid.published()} nodes.")

    tell("\n3. Alder's own client stores one megabyte, and a directory with a letter in it, as 2-of-3 shares.")
    film, letter = os.urandom(1_000_000), "Dear stranger, this came from another grid.\n".encode() * 100
    client = TahoeClient(tahoe["Alder"])
    cap, directory = client.store(film), client.make_directory({"letter.txt": letter})
    if not cap.startswith("URI:CHK:") or not directory.startswith("URI:DIR2:"):
        raise Failed(f"Tahoe-LAFS answered with other caps: {cap}, {directory}")
    foreign, foreign_directory = (stage.clearinghouse("cap", "foreign", each, "--grid", alder.grid_id)
                                  for each in (cap, directory))
    if not foreign_directory.startswith(f"URI:FOREIGN:{alder.grid_id}:DIR2-RO:"):
        raise Failed(f"the directory's foreign cap can do more than read: {foreign_directory}")
    tell(f"   Its cap opens it for clients of that grid alone:\n   {cap}")
    tell(f"   With the grid's name in it, anybody can be sent it:\n   {foreign}")

    tell("\n4. A stranger, a new process with no state, has that cap and the one address, and asks whose it is.")
    answer = Stranger(stage, network, "stranger").resolve(foreign)
    if answer["grid_id"] != alder.grid_id or answer["nickname"] != "Alder grid":
        raise Failed(f"the cap led to {answer['grid_id']}, `{answer['nickname']}`")
    if answer["home_cap"] != cap:
        raise Failed(f"the cap came back as {answer['home_cap']}")
    if answer["contact"] != ["mailto:ops@alder.example"] or len(answer["gateways"]) != 1:
        raise Failed(f"contact and gateways came back as {answer['contact']}, {answer['gateways']}")
    tell(f"   {answer['nickname']}, {answer['contact'][0]}, one gateway; downloads are {price(answer['rates'][0])};")
    tell(f"   a record of {answer['size_bytes']} bytes, whose signature it verified itself, "
         f"after {answer['elapsed_ms']:.0f} ms ({answer['source']}).")

    tell("\n5. Somebody whose home is Birch was sent the two caps. `clearinghouse join` makes a key of their own; until Birch's")
    tell("   operator has added it, they are refused. After it:")
    reader = Reader(stage, birch, "reader")
    asks = reader.join()
    refused, _ = reader.get(foreign, "refused.bin", status=REFUSED)
    if asks["known"] or refused.exists():
        raise Failed("a client that nobody added was served")
    stage.clearinghouse("client", "add", "reader", asks["key"], "-d", birch.home)
    if reader.join()["label"] != "reader":
        raise Failed("the client that was added is not known")
    fetched, took = reader.get(foreign, "fetched.bin")
    if fetched.read_bytes() != film:
        raise Failed("the file that came is not the file that was stored")
    tell(f"   $ clearinghouse get {short(foreign)} -o fetched.bin")
    tell(f"   1,000,000 bytes through both gateways in {took:.1f} s, the same that Alder's client stored.")
    listing = reader.does("ls", foreign_directory)
    named = [entry["name"] for entry in json.loads(reader.does("ls", foreign_directory, "--json"))["entries"]]
    if named != ["letter.txt"] or "letter.txt" not in listing:
        raise Failed(f"the directory lists {named}")
    child, child_took = reader.get(f"{foreign_directory}/letter.txt", "letter.txt")
    if child.read_bytes() != letter:
        raise Failed("the letter that came is not the letter that was stored")
    tell(f"   $ clearinghouse ls {short(foreign_directory)}")
    tell(f"   {listing}")
    tell(f"   $ clearinghouse get {short(foreign_directory)}/letter.txt -o letter.txt")
    tell(f"   {len(letter):,} bytes in {child_took:.1f} s, the same that Alder's client stored.")

    paid = money(stage, alder, birch, cedar, TahoeClient(tahoe["Birch"]))

    tell("\n7. Each grid of the network, asked for by a stranger that has never asked anything, and then again by the same one.")
    everyone = [grid.grid_id for grid in ours] + [grid["grid_id"] for grid in network["grids"]]
    first, again = [], []
    for number, grid_id in enumerate(everyone):
        newcomer = Stranger(stage, network, f"newcomer{number}")
        for times, policy in ((first, "fast"), (again, "cached")):
            answer = newcomer.resolve(grid_id, policy)
            if answer["grid_id"] != grid_id:
                raise Failed(f"asked for {grid_id}, told of {answer['grid_id']}")
            if grid_id == cedar.grid_id:
                cedar_price = price(answer["rates"][0])
            times.append(answer["elapsed_ms"])
    if not cedar_price.startswith("0.02 USD/GiB"):
        raise Failed(f"Cedar's price came back as {cedar_price}")
    tell(f"   {len(first)} of {len(everyone)} found and verified; Cedar asks for {cedar_price}.")
    tell(f"   {spread(first)} the first time; {spread(again)} from what it remembers.")

    return (
        f"A file that the real Tahoe-LAFS stored on one grid came to a reader of another by its foreign cap alone, every byte "
        f"verified, {took:.1f} s for a megabyte; {paid} of another were paid for; and {len(first)} of {len(everyone)} grids were found over "
        f"{nodes + len(ours)} nodes, in {statistics.median(first):.0f} ms in the median."
    )


def money(stage, alder, birch, cedar, client):
    """The other way round: a reader whose home is Alder, and a file of Birch's, which has a price. Returns what was billed."""
    tell(f"\n6. The other way round: Birch asks for {BIRCH_PRICE}. Alder's operator writes down which grids its readers may dial,")
    tell("   and what they pay. Somebody whose home is Alder was sent a cap of ten megabytes on Birch, and asks what it will cost.")
    (alder.home / "policy.toml").write_text(RULES.format(birch=birch.grid_id, cedar=cedar.grid_id, message=DENIED))
    reader, film = Reader(stage, alder, "payer"), os.urandom(10_000_000)
    stage.clearinghouse("client", "add", "payer", reader.join()["key"], "-d", alder.home)
    cap = stage.clearinghouse("cap", "foreign", client.store(film), "--grid", birch.grid_id)
    tell(f"   $ clearinghouse quote {short(cap)}")
    show(reader.does("quote", cap))
    if reader.get(cap, "unpaid.bin", status=REFUSED)[0].exists():
        raise Failed("a file with a price came to somebody who did not say that it may be paid")
    fetched, took = reader.get(cap, "paid.bin", "--max-price", MAX_PRICE)
    if fetched.read_bytes() != film:
        raise Failed("the file that was paid for is not the file that was stored")
    tell(f'   $ clearinghouse get {short(cap)} -o paid.bin --max-price "{MAX_PRICE}"')
    tell(f"   10,000,000 bytes in {took:.1f} s, every few acknowledged by a signature.")
    blocked = cap.replace(birch.grid_id, cedar.grid_id)
    tell(f"   $ clearinghouse get {short(blocked)} -o blocked.bin")
    refused = json.loads(reader.does("get", blocked, "-o", stage.dir / "blocked.bin", "--json", status=REFUSED))
    if DENIED not in refused["error"]["message"]:
        raise Failed(f"the refusal does not say what Alder's operator wrote: {refused}")
    tell(f"   {refused['error']['message']}")
    tell("   $ clearinghouse usage")
    show(reader.does("usage"))
    tell("   And Birch's operator, at the end of the period:")
    tell("   $ clearinghouse statement --now")
    show(stage.clearinghouse("statement", "--now", "-d", birch.home))
    bills = json.loads(stage.clearinghouse("statement", "-d", birch.home, "--json"))
    same = json.loads(stage.clearinghouse("statement", "--now", "-d", alder.home, "--json"))
    if billed(bills) != billed(same) or not billed(bills):
        raise Failed(f"Birch bills {billed(bills)}, and Alder's books say {billed(same)}")
    for grid in (alder, birch):
        stage.clearinghouse("ledger", "verify", "-d", grid.home)
    tell("   Alder's node prints the same, and both have proved their books from the signatures (`ledger verify`).")
    return "ten megabytes"


def billed(answer):
    """Who is charged by whom, and how much."""
    return [tuple(bill[key] for key in ("creditor", "debtor", "asset", "charged")) for bill in answer["statements"]]


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
