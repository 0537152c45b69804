"""Mutable files and directories on a real grid: what its client writes, and what it reads of what we wrote.

    mutable.py DIR < PLACED

PLACED is a JSON list of files whose shares were made elsewhere: {"cap", "storage_index", "shares": {number: base64}}. They
are put on the grid's servers, and what the real client reads there is printed; then the real client stores files and
directories of its own, whose shares are printed. One JSON object a line; bytes are base64.
"""

import json
import random
import sys
import unicodedata
from base64 import b64decode, b64encode
from pathlib import Path

from twisted.internet import defer, task

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import tahoe_grid  # noqa: E402
from allmydata.dirnode import DirectoryNode  # noqa: E402
from allmydata.interfaces import MDMF_VERSION, SDMF_VERSION  # noqa: E402
from allmydata.mutable.publish import MutableData  # noqa: E402
from allmydata.util import base32, hashutil  # noqa: E402

SEED = 20261125
FORMATS = {"sdmf": SDMF_VERSION, "mdmf": MDMF_VERSION}
SIZES = {
    "sdmf": [0, 1, 3, 56, 1_000, 100_001],
    "mdmf": [0, 1, 131_072, 131_073, 131_074, 700_001],
}
ENCODINGS = [(2, 3), (3, 10), (1, 1)]
FAR = 1 << 30
FOREIGN = "URI:FOREIGN:pub-v0-mumnmx4ghqqhfcl2pcbdmnonqr4vhwoh7jcnwdcoqbdq5vfrwvca:"
CHK = "CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000"
SSK_RO = "SSK-RO:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa"


def say(**words):
    print(json.dumps({key: b64encode(word).decode() if isinstance(word, bytes) else word for key, word in words.items()}))


def text(cap):
    return None if cap is None else cap.decode("ascii")


async def shares_of(client, index):
    """All shares of a mutable file, as its servers hand them out."""
    found = {}
    for server in client.storage_broker.get_connected_servers():
        answer = await server.get_storage_server().slot_readv(index, [], [(0, FAR)])
        found.update({number: b64encode(parts[0]).decode() for number, parts in answer.items()})
    return found


async def place(client, index, shares):
    servers = sorted(client.storage_broker.get_connected_servers(), key=lambda server: server.get_serverid())
    for number, share in shares.items():
        server = servers[int(number) % len(servers)].get_storage_server()
        secrets = (b"w" * 32, b"r" * 32, b"c" * 32)
        vectors = {int(number): ([], [(0, b64decode(share))], None)}
        written, _ = await server.slot_testv_and_readv_and_writev(index, secrets, vectors, [])
        assert written, number


async def read_placed(client, files):
    for file in files:
        await place(client, base32.a2b(file["storage_index"].encode()), file["shares"])
        node = client.create_node_from_uri(file["cap"].encode())
        if isinstance(node, DirectoryNode):
            say(kind="placed", cap=file["cap"], children=await listed(node))
        else:
            say(kind="placed", cap=file["cap"], content=await node.download_best_version())


async def listed(node):
    children = await node.list()
    return {
        name: {"read_cap": text(child.get_readonly_uri()), "metadata": metadata}
        for name, (child, metadata) in children.items()
    }


async def tell(client, name, node, content, directory=None):
    say(
        kind="stored",
        name=name,
        cap=text(node.get_uri()),
        read_cap=text(node.get_readonly_uri()),
        verify_cap=text(node.get_verify_cap().to_string()),
        content=content,
        children=directory,
        shares=await shares_of(client, node.get_storage_index()),
    )


async def store_files(client, dice):
    for needed, total in ENCODINGS:
        client.encoding_params.update({"k": needed, "happy": 1, "n": total})
        for word, version in FORMATS.items():
            for size in SIZES[word]:
                content = dice.randbytes(size)
                node = await client.create_mutable_file(MutableData(content), version=version)
                await tell(client, f"{word} {size} {needed}-of-{total}", node, content)
    client.encoding_params.update({"k": 2, "happy": 1, "n": 3})
    for word, version in FORMATS.items():
        node = await client.create_mutable_file(MutableData(b"first"), version=version)
        old = await shares_of(client, node.get_storage_index())
        content = dice.randbytes(2_000)
        await node.overwrite(MutableData(content))
        await tell(client, f"{word} overwritten", node, content)
        say(kind="older", name=f"{word} overwritten", shares=old)


async def store_directories(client, dice):
    file = await client.create_mutable_file(MutableData(b"in a directory"), version=MDMF_VERSION)
    for word, version in FORMATS.items():
        directory = await client.create_dirnode(version=version)
        inner = await directory.create_subdirectory("Unterverzeichnis")
        await inner.set_node("leaf", file)
        await directory.set_node("file", file, metadata={"ctime": 1.5, "nested": {"key": ["ü"]}})
        for name in ["gru\u0308n", "日本語", "a:b,c", "\U0001f600", "Z" * 200]:
            await directory.set_uri(name, None, b"URI:LIT:krugkidfnzsc4")
        await directory.set_uri("foreign file", None, f"imm.{FOREIGN}{CHK}".encode())
        await directory.set_uri("foreign mutable", None, f"ro.{FOREIGN}{SSK_RO}".encode())
        await directory.set_uri("future", None, b"imm.lafs://from_the_future")
        await directory.set_uri("future mutable", b"x-tahoe-future-write:1", b"ro.x-tahoe-future-read:2")
        # Read from the file beneath: the directory's plaintext.
        beneath = client.create_node_from_uri(file_beneath(directory))
        await tell(client, f"{word} directory", directory, await beneath.download_best_version(), await listed(directory))
    await tell_immutable(client, "literal directory", {"small": (literal(client, b"URI:LIT:krugkidfnzsc4"), {})})
    many = {f"child {number} ä": (literal(client, b"URI:LIT:krugkidfnzsc4"), {"n": number}) for number in range(20)}
    many["foreign"] = (literal(client, f"imm.{FOREIGN}{CHK}".encode()), {})
    await tell_immutable(client, "immutable directory", many)
    await tell_immutable(client, "empty directory", {})


def literal(client, cap):
    return client.create_node_from_uri(None, cap, deep_immutable=True)


async def tell_immutable(client, name, children):
    directory = await client.create_immutable_dirnode(children)
    cap = directory.get_uri()
    beneath = client.create_node_from_uri(cap.replace(b"DIR2-LIT", b"LIT").replace(b"DIR2-CHK", b"CHK"))
    from allmydata.util.consumer import download_to_data

    content = await download_to_data(beneath)
    say(kind="immutable", name=name, cap=text(cap), content=content, children=await listed(directory))


def file_beneath(directory):
    cap = text(directory.get_uri())
    return cap.replace("DIR2-MDMF", "MDMF").replace("DIR2", "SSK").encode()


async def work(client, placed):
    dice = random.Random(SEED)
    await read_placed(client, placed)
    await store_files(client, dice)
    await store_directories(client, dice)


async def main(reactor, directory):
    placed = json.load(sys.stdin)
    async with tahoe_grid.running(Path(directory)) as client:
        await work(client, placed)


if __name__ == "__main__":
    task.react(lambda reactor: defer.ensureDeferred(main(reactor, sys.argv[1])).addTimeout(tahoe_grid.DEADLINE_SECONDS * 3, reactor))
