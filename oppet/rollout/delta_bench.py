"""`oppet bench delta`: what comes over the wire for the next release and for the next prices, by each method, against the whole.

Two images of this tree, the second with a fix in a few files: in pieces of several sizes (new pieces packed, and the index), as one patch,
and whole. Two hundred prices changed in a real assortment and in a full store's: in pieces, as a patch, packed, and bare. What the
product takes is fetched by the product's own code. And how long the pieces of a whole image take over a line with 30 ms of way, on so
many connections.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard

from oppet.demo.goods import DATA
from oppet.drivers import chunking, files, serving
from oppet.drivers.images import HEAD, head_of, write_image
from oppet.drivers.obtaining import obtain_goods, obtain_image
from oppet.drivers.publication_http import Publications
from oppet.drivers.publication_sources import FolderSource, HttpSource
from oppet.goods.assortment import merge
from oppet.release.chunks import Index, read_index
from oppet.release.terms import Software
from oppet.signing.build import Plan, build_release
from oppet.yardstick.assortment import filled_up
from oppet.yardstick.measure import conditions, result
from oppet.yardstick.store import scratch

__all__ = ["run"]

TREE: Final = Path(__file__).resolve().parents[2]
AVERAGES: Final = (4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10)
FIXED: Final = (
    "rings.py",
    "till.py",
    "settle.py",
    "selling.py",
    "page.css",
)  # files that a fix changes, where they are
WAY_S: Final = 0.03
CONNECTIONS: Final = (1, 4, 8)
CHANGED: Final = 200


def run(articles: int = 100_000, *, carries: bool = False, wan: bool = True) -> dict[str, Any]:
    """Measure. `carries` puts the locked packages into the images too: slow to pack, and what a till without any would fetch."""
    figures: dict[str, Any] = {}
    with scratch() as folder:
        before = build_release(TREE, files.folder(folder / "one"), Plan(1, carries=carries)).image
        after = _fixed(before, folder / "two.tar", built=0)
        moved = _fixed(before, folder / "three.tar", built=1)
        old, new = before.read_bytes(), after.read_bytes()
        figures |= {"image_bytes": len(new), "image_packed_bytes": len(_packed(new))}
        for average in AVERAGES:
            figures |= _in_pieces(f"image_{average >> 10}k", old, new, average)
        figures["image_16k_new_times_bytes"] = _in_pieces("x", old, moved.read_bytes(), 16 << 10)["x_delta_bytes"]
        figures["image_patch_bytes"] = len(chunking.packed_patch(old, new)) if not carries else 0
        figures |= _obtained(folder, before, after)
        if wan:
            figures |= _over_wan(folder / "pub", after, folder)
        figures |= _goods("goods_real", _real(), folder / "goods")
        figures |= _goods("goods_full", filled_up(_real(), articles), folder / "goods")
    ratios = {
        "release_delta_over_full": round(figures["release_fetched_bytes"] / figures["image_16k_full_bytes"], 4),
        "prices_over_full_packed": round(figures["goods_full_patch_bytes"] / figures["goods_full_packed_bytes"], 5),
        "prices_real_over_full_packed": round(
            figures["goods_real_patch_bytes"] / figures["goods_real_packed_bytes"], 5
        ),
    }
    return result(
        "delta",
        figures,
        ratios,
        conditions(articles=articles, changed=CHANGED, carries=carries, way_ms=int(WAY_S * 1e3)),
    )


def _fixed(image: Path, into: Path, built: int) -> Path:
    """The next release: a line more in a few files."""
    note = msgspec.structs.replace(head_of(image), release=2, built=built)

    def content() -> Iterator[tuple[str, bytes]]:
        with tarfile.open(image) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is not None and member.name != HEAD:
                    data = file.read()
                    fixed = member.name.rpartition("/")[2] in FIXED and member.name.startswith("lib/oppet/")
                    yield member.name, data + b"\n# one line more than before\n" if fixed else data

    write_image(into, note, content())
    return into


def _packed(data: bytes, level: int = chunking.LEVEL) -> bytes:
    return zstandard.ZstdCompressor(level=level).compress(data)


def _in_pieces(name: str, old: bytes, new: bytes, average: int) -> dict[str, int]:
    have = {chunk.sha256 for chunk, _ in chunking.cut(old, average)}
    pieces = dict(chunking.cut(new, average))
    index = 36 * len(chunking.cut(new, average))
    return {
        f"{name}_full_bytes": sum(len(_packed(data)) for data in pieces.values()) + index,
        f"{name}_delta_bytes": sum(len(_packed(data)) for chunk, data in pieces.items() if chunk.sha256 not in have)
        + index,
    }


def _software(index: Index) -> Software:
    return Software(release=2, version="bench", role="till", hw="any", image=index.image, image_bytes=index.bytes)


def _obtained(folder: Path, before: Path, after: Path) -> dict[str, Any]:
    """As a till does it: from the image that is here and a folder."""
    tree = folder / "pub"
    one, two = chunking.make_index(before, tree), chunking.make_index(after, tree)
    files.write(before.with_name(f"{before.name}.index"), one)
    began = time.perf_counter()
    done = obtain_image(
        two, _software(read_index(two, "")), [before], [FolderSource("tree", tree)], folder / "made.tar"
    )
    took = time.perf_counter() - began
    assert done.path.read_bytes() == after.read_bytes()
    return {
        "release_fetched_bytes": done.fetched + len(two),
        "release_index_bytes": len(two),
        "release_seconds": round(took, 3),
    }


def _over_wan(tree: Path, image: Path, folder: Path) -> dict[str, Any]:
    """A whole image over a line where every question takes 30 ms: with packs it would be one question."""
    index = chunking.make_index(image, tree)
    found: dict[str, Any] = {"wan_pieces": len(set(read_index(index, "").chunks))}
    with _slow_server(tree) as url:
        for count in CONNECTIONS:
            lines = [[HttpSource("hq", url)] for _ in range(count)]
            began = time.perf_counter()
            obtain_image(
                index, _software(read_index(index, "")), (), lines[0], folder / f"wan{count}.tar", more=lines[1:]
            )
            found[f"wan_{count}_connections_s"] = round(time.perf_counter() - began, 2)
            for line in lines:
                line[0].close()
    return found


@contextmanager
def _slow_server(tree: Path) -> Iterator[str]:
    publications = Publications(tree)

    async def late(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(WAY_S)
        await publications(scope, receive, send)

    stop, up = threading.Event(), threading.Event()
    listener = serving.listen(0)
    service = serving.Service(late, listener, None, serving.Guard())
    thread = threading.Thread(target=serving.serve_all, args=([service], lambda: None, up.set, stop))
    thread.start()
    try:
        up.wait(10)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/pub"
    finally:
        stop.set()
        thread.join(10)
        publications.close()
        listener.close()


def _real() -> bytes:
    return merge(
        files.read(DATA / "assortment-off" / "articles.tsv"), files.read(DATA / "assortment-ours" / "terms.json")
    )


def _goods(name: str, old: bytes, tree: Path) -> dict[str, Any]:
    """A price round: the products' own patch, and what the other methods would take."""
    new = _repriced(old)
    patch = chunking.make_patch(old, new, tree)
    data, came = obtain_goods(
        "goods/assortment-2.json", len(new), hashlib.sha256(new).hexdigest(), [old], [FolderSource("tree", tree)], lambda: b""
    )  # fmt: skip
    assert data == new
    assert came == patch.stat().st_size
    began = time.perf_counter()
    packed = chunking.packed_patch(b"", new)
    figures: dict[str, Any] = {
        f"{name}_bytes": len(new),
        f"{name}_packed_bytes": len(packed),
        f"{name}_pack_s": round(time.perf_counter() - began, 2),
        f"{name}_patch_bytes": came,
    }
    for average in (4 << 10, 16 << 10, 64 << 10):
        figures[f"{name}_{average >> 10}k_bytes"] = _in_pieces("x", old, new, average)["x_delta_bytes"]
    return figures


def _repriced(document: bytes) -> bytes:
    """Two hundred articles anywhere in it cost something else."""
    said: dict[str, Any] = msgspec.json.decode(document)
    priced: list[Mapping[str, Any]] = [one for one in said["articles"] if one.get("prices")]
    chance = random.Random(4711)
    for article in chance.sample(priced, min(CHANGED, len(priced))):
        price = article["prices"][-1]
        price["ore"] = max(100, price["ore"] + chance.choice((-200, -100, 100, 200, 300)))
    return msgspec.json.encode(said)
