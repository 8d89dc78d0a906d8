"""An image out of caches that are believed nothing: missing, damaged, swapped pieces, bombs, cuts, a full disk."""

from __future__ import annotations

import threading
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard

from oppet.drivers.chunking import make_index, make_patches
from oppet.drivers.files import FileTroubleError
from oppet.drivers.obtaining import NoRoomError, Obtained, Rate, StoppedError, image_index, obtain_goods, obtain_image
from oppet.release.chunks import chunk_path, encode, read_index
from oppet.release.errors import PublicationAwayError, PublicationMalformedError, TargetRefusedError
from oppet.release.found import Refused
from tests.drivers.trees import FolderReader, Tree, a_tree, an_image
from tests.release.chain import a_release


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return a_tree(tmp_path_factory.mktemp("pub"))


def obtained(tree: Tree, into: Path, *sources: FolderReader, tell: list[Refused] | None = None) -> Obtained:
    return obtain_image(
        tree.index,
        tree.software,
        (),
        sources or [FolderReader(tree.base)],
        into,
        tell=None if tell is None else tell.append,
    )


def test_rl13_the_image_is_put_together_and_its_index_lies_beside_it(tree: Tree, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    source = FolderReader(tree.base)
    into = tmp_path / "image.tar"
    done = obtain_image(tree.index, tree.software, (), [source], into, progress=lambda *of: heard.append(of))
    assert into.read_bytes() == tree.image
    assert image_index(into).read_bytes() == tree.index
    assert heard[-1] == (len(tree.image), len(tree.image))
    assert heard == sorted(heard)
    assert 0 < done.fetched < len(tree.image)
    assert (
        len(source.asked) == len(set(source.asked)) < len(read_index(tree.index, "").chunks)
    )  # a piece that stands twice comes once
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.tar", "image.tar.index"]


def test_rl13_after_a_cut_what_came_is_checked_and_not_fetched_again(tree: Tree, tmp_path: Path) -> None:
    into = tmp_path / "image.tar"
    first = FolderReader(tree.base, cut_after=20)
    with pytest.raises(PublicationAwayError):
        obtained(tree, into, first)
    assert not into.exists()
    part = into.with_name("image.tar.part")
    with part.open("r+b") as file:  # and somebody wrote into what was there
        file.write(b"Cleo was here")
    second = FolderReader(tree.base)
    done = obtained(tree, into, second)
    assert into.read_bytes() == tree.image
    assert done.kept > 0
    assert set(first.asked) & set(second.asked) <= {chunk_path(read_index(tree.index, "").chunks[0].sha256)} | set(
        first.asked[-2:]
    )


def test_rl13_pieces_of_an_image_that_is_here_are_not_fetched(tree: Tree, tmp_path: Path) -> None:
    here = tmp_path / "before.tar"
    obtained(tree, here)
    image = tree.image[:150_000] + b"a fix" + tree.image[150_000:]
    index = make_index(image, tree.base, average=4096)
    software = a_release(3, image=sha256(image).hexdigest(), image_bytes=len(image))
    after = Tree(tree.base, image, index, software)
    done = obtain_image(after.index, after.software, [here], [FolderReader(tree.base)], tmp_path / "after.tar")
    assert done.path.read_bytes() == image
    assert done.copied > len(image) * 9 // 10
    assert done.fetched < 30_000
    # an image here that was changed gives nothing wrong: only more is fetched
    here.write_bytes(bytes(len(tree.image)))
    again = obtain_image(
        after.index, after.software, [here, tmp_path / "none"], [FolderReader(tree.base)], tmp_path / "x.tar"
    )
    assert (again.copied, again.path.read_bytes()) == (0, image)


def damaged(_path: str, data: bytes) -> bytes:
    return data[:-3] + b"Cle"


def bomb(_path: str, _data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(bytes(50_000_000))


def undeclared(_path: str, _data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(bytes(50_000_000))


def with_more_behind(_path: str, data: bytes) -> bytes:
    return data + data[:64]


def truncated(_path: str, data: bytes) -> bytes:
    return data[: len(data) // 2]


def endless(_path: str, data: bytes) -> bytes:
    return data * 100


@pytest.mark.parametrize("spoil", [damaged, bomb, undeclared, with_more_behind, truncated, endless, lambda _p, _d: b""])
def test_rl13_a_source_that_gives_wrong_bytes_is_named_left_alone_and_the_next_one_asked(
    tree: Tree, tmp_path: Path, spoil: object
) -> None:
    told: list[Refused] = []
    liar = FolderReader(tree.base, "cleo", spoil)  # type: ignore[arg-type]
    done = obtained(tree, tmp_path / "image.tar", liar, FolderReader(tree.base), tell=told)
    assert done.path.read_bytes() == tree.image
    assert len(liar.asked) == 1
    assert {(said.what, said.source) for said in told} == {("cache", "cleo")}
    assert [said.source for said in done.refused] == ["cleo"]
    assert told[-1].why == ("endless" if spoil is endless else "caches_differ")


def test_rl13_a_swapped_piece_is_refused_though_it_is_somebody_elses_true_piece(tree: Tree, tmp_path: Path) -> None:
    other = read_index(tree.index, "").chunks[1]
    liar = FolderReader(tree.base, "cleo", lambda _p, _d: (tree.base / chunk_path(other.sha256)).read_bytes())
    done = obtained(tree, tmp_path / "image.tar", liar, FolderReader(tree.base))
    assert done.refused[0].why == "caches_differ"
    assert done.path.read_bytes() == tree.image


def test_rl13_a_missing_piece_comes_from_the_next_source_and_is_no_lie(tree: Tree, tmp_path: Path) -> None:
    half = tmp_path / "half"
    for number, chunk in enumerate(read_index(tree.index, "").chunks):
        if number % 2:
            path = half / chunk_path(chunk.sha256)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((tree.base / chunk_path(chunk.sha256)).read_bytes())
    one, two = FolderReader(half, "node"), FolderReader(tree.base, "hq")
    done = obtained(tree, tmp_path / "image.tar", one, two)
    assert done.refused == ()
    assert 0 < len(two.asked) < len(one.asked)


def test_rl13_where_everybody_lies_nothing_is_made(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(TargetRefusedError) as refusal:
        obtained(tree, tmp_path / "image.tar", FolderReader(tree.base, "cleo", damaged))
    assert refusal.value.facts["why"] == "bytes"
    assert not (tmp_path / "image.tar").exists()


def test_rl13_pieces_that_are_right_do_not_make_an_image_that_was_not_signed(tree: Tree, tmp_path: Path) -> None:
    index = read_index(tree.index, "")
    turned = encode(type(index)(index.image, index.bytes, tuple(reversed(index.chunks))))
    with pytest.raises(TargetRefusedError) as refusal:
        obtain_image(turned, tree.software, (), [FolderReader(tree.base)], tmp_path / "image.tar")
    assert refusal.value.facts["why"] == "bytes"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PublicationMalformedError):
        obtain_image(tree.index[:-5], tree.software, (), [FolderReader(tree.base)], tmp_path / "image.tar")
    with pytest.raises(TargetRefusedError):
        obtain_image(tree.index, a_release(2), (), [FolderReader(tree.base)], tmp_path / "image.tar")


def test_rl13_a_full_disk_is_said_before_anything_is_fetched_and_what_came_stays(tree: Tree, tmp_path: Path) -> None:
    source = FolderReader(tree.base)
    with pytest.raises(NoRoomError) as full:
        obtain_image(tree.index, tree.software, (), [source], tmp_path / "image.tar", free=lambda _: 1_000_000)
    assert source.asked == []
    assert full.value.facts["free"] == 1_000_000
    assert list(tmp_path.iterdir()) == []


def test_rl13_a_link_in_place_of_the_unfinished_file_is_not_followed(tree: Tree, tmp_path: Path) -> None:
    treasure = tmp_path / "journal"
    treasure.write_bytes(b"sales")
    (tmp_path / "image.tar.part").symlink_to(treasure)
    with pytest.raises(FileTroubleError):
        obtained(tree, tmp_path / "image.tar")
    assert treasure.read_bytes() == b"sales"


def test_a_download_stops_when_told_and_goes_on_where_it_was(tree: Tree, tmp_path: Path) -> None:
    source = FolderReader(tree.base)
    with pytest.raises(StoppedError):
        obtain_image(
            tree.index, tree.software, (), [source], tmp_path / "image.tar", stop=lambda: len(source.asked) >= 10
        )
    assert len(source.asked) < 20
    assert obtained(tree, tmp_path / "image.tar").kept > 0


def test_several_connections_share_the_work_and_each_has_one_caller_at_a_time(tree: Tree, tmp_path: Path) -> None:
    lines = [FolderReader(tree.base) for _ in range(4)]
    done = obtain_image(
        tree.index, tree.software, (), [lines[0]], tmp_path / "image.tar", more=[[line] for line in lines[1:]]
    )
    assert done.path.read_bytes() == tree.image
    asked = [path for line in lines for path in line.asked]
    assert len(asked) == len(set(asked))


def test_rl13_ten_tills_at_once_each_make_the_whole_image(tree: Tree, tmp_path: Path) -> None:
    made: list[bytes] = []
    ten = [
        threading.Thread(target=lambda n=n: made.append(obtained(tree, tmp_path / f"{n}" / "i.tar").path.read_bytes()))
        for n in range(10)
    ]
    for one in ten:
        one.start()
    for one in ten:
        one.join(30)
    assert made == [tree.image] * 10


class FakeTime:
    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_rate_lets_so_many_bytes_a_second_through_and_gives_way_while_somebody_pays() -> None:
    time = FakeTime()
    rate = Rate(10_000, clock=time.clock, sleep=time.sleep)
    for _ in range(10):
        rate.before(lambda: False)
        rate.after(5_000)
    assert 4.4 <= time.now <= 5.1
    paying = FakeTime()
    polite = Rate(0, lambda: paying.now < 3, clock=paying.clock, sleep=paying.sleep)
    polite.before(lambda: False)
    assert 3 <= paying.now < 3.2
    # a till that is never quiet still gets a piece now and then
    Rate(0, lambda: True, patience_s=10, clock=paying.clock, sleep=paying.sleep).before(lambda: False)
    assert 13 <= paying.now < 13.3
    Rate(0, lambda: True, clock=paying.clock, sleep=paying.sleep).before(lambda: True)
    assert paying.now < 13.3


# --- goods


OLD = b'{"articles":[' + b",".join(b'{"number":"%d","ore":%d}' % (n, 1000 + n * 7 % 990) for n in range(3000)) + b"]}"
NEW = OLD.replace(b'"ore":1070', b'"ore":1090')


def goods(
    base: Path, have: list[bytes], *sources: FolderReader, told: list[Refused] | None = None
) -> tuple[bytes, int, int]:
    asked: list[int] = []

    def whole() -> bytes:
        asked.append(1)
        return NEW

    data, came = obtain_goods(
        "goods/assortment-2.json", len(NEW), sha256(NEW).hexdigest(), have, sources or [FolderReader(base)], whole,
        tell=None if told is None else told.append,
    )  # fmt: skip
    return data, came, len(asked)


def test_rl13_a_change_of_prices_comes_as_a_patch_that_ends_at_what_was_signed(tmp_path: Path) -> None:
    make_patches([OLD], NEW, tmp_path)
    data, came, wholes = goods(tmp_path, [OLD])
    assert (data, wholes) == (NEW, 0)
    assert came < len(NEW) // 100
    data, packed, wholes = goods(tmp_path, [])
    assert (data, wholes) == (NEW, 0)
    assert came < packed < len(NEW) // 2
    assert goods(tmp_path, [NEW]) == (NEW, 0, 0)


def test_rl13_a_patch_that_leads_elsewhere_names_its_source_and_the_signed_document_is_fetched_whole(
    tmp_path: Path,
) -> None:
    make_patches([OLD], NEW, tmp_path)
    for number, spoil in enumerate((damaged, bomb, undeclared, truncated)):
        told: list[Refused] = []
        data, _, wholes = goods(tmp_path, [OLD], FolderReader(tmp_path, "cleo", spoil), told=told)
        assert (data, wholes) == (NEW, 1), number
        assert [said.source for said in told] == ["cleo"]
    other = tmp_path / "other"
    make_patches([OLD], NEW.replace(b"1090", b"0001"), other)
    lie = next(path for path in (other / "patches").iterdir() if not path.name.startswith("0" * 16)).read_bytes()
    assert goods(tmp_path, [OLD], FolderReader(tmp_path, "cleo", lambda _p, _d: lie))[::2] == (NEW, 1)


def test_rl13_without_a_patch_or_a_source_the_document_is_fetched_whole(tmp_path: Path) -> None:
    assert goods(tmp_path, [OLD, an_image(3)])[::2] == (NEW, 1)
    assert goods(tmp_path, [OLD], FolderReader(tmp_path, cut_after=0))[::2] == (NEW, 1)
