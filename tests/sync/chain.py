"""A small chain in memory for tests: HQ, a store, its tills' keys and journals, shelves that remember in a dict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from oppet.base.signing import Signer
from oppet.journal.entry import NOTHING, Head, seal, signed_bytes
from oppet.journal.kinds import Body, DrawerOpened
from oppet.sync.certificates import Directory, Standing, StoreCertificate, TillCertificate, make_paper
from oppet.sync.keeper import Believed, Branch, Keeper
from oppet.sync.messages import AsOf, Batch, decode_batch, encode_batch, pack
from oppet.sync.sender import as_of

HQ, MANAGER, NODE, TILL, OTHER = (Signer(bytes([number]) * 32) for number in (1, 2, 3, 4, 5))
WHEN = "2026-11-22T06:00:00.000Z"
NOW = 1_795_327_200_000


class FakeClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at


def a_directory(*, countersigned: bool = True) -> Directory:
    """HQ, store S01 and its tills S01-K1 (key TILL) and S01-K2 (key OTHER)."""
    directory = Directory(HQ.public)
    store = StoreCertificate("S01", "Storgatan", "Öst", MANAGER.public.hex(), NODE.public.hex(), WHEN)
    directory.add(make_paper(store, HQ))
    for till, key in (("S01-K1", TILL), ("S01-K2", OTHER)):
        certificate = TillCertificate(till, 1, "S01", till[-2:], key.public.hex(), WHEN)
        directory.add(make_paper(certificate, MANAGER, *((HQ,) if countersigned else ())))
    return directory


@dataclass
class History:
    """A till's journal in a list; also a sender's source."""

    till: str = "S01-K1"
    epoch: int = 1
    signer: Signer = TILL
    entries: list[bytes] = field(default_factory=list)
    heads: list[Head] = field(default_factory=lambda: [Head(0, NOTHING)])
    now: int = NOW

    @property
    def own_key(self) -> bytes:
        return self.signer.public

    @property
    def head(self) -> Head:
        return self.heads[-1]

    def write(self, count: int = 1, body: Body | None = None) -> None:
        for _ in range(count):
            data, head = seal(
                self.head, self.till, self.epoch, self.now, body or DrawerOpened(f"{self.head.seq}", 101, 201)
            )
            self.entries.append(data)
            self.heads.append(head)

    def branch_off(self, seq: int) -> History:
        """A cloned disk: the same history up to `seq`."""
        return History(self.till, self.epoch, self.signer, self.entries[:seq], self.heads[: seq + 1], self.now + 1)

    def digest_at(self, seq: int) -> str:
        return self.heads[seq].digest

    def pieces(self, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        return self.entries[first - 1 : first - 1 + most]

    def signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        return last, self.signer.sign(signed_bytes(self.till, self.epoch, self.heads[last]))

    def as_of(self) -> AsOf | None:
        return as_of(self.signer, self.till, self.epoch, self.head, self.now)

    def batch(self, after: int, last: int, **more: object) -> Batch:
        heads = self.heads
        signed = self.signer.sign(signed_bytes(self.till, self.epoch, heads[last])).hex() if last > after else ""
        return Batch(
            self.till,
            self.epoch,
            (after, heads[after].digest),
            (last, heads[last].digest),
            signed,
            packed=pack(self.entries[after:last]),
            **more,  # type: ignore[arg-type]
        )


class MemoryShelf:
    """A shelf in a dict: what the block left without an error is kept."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], dict[str, tuple[Head, list[bytes], list[Head]]]] = {}
        self.heard: dict[tuple[str, int], AsOf] = {}
        self.signatures: dict[tuple[str, int], bytes] = {}

    @contextmanager
    def stream(self, standing: Standing) -> Iterator[_Held]:
        held = _Held(self.kept.get((standing.till, standing.epoch), {}), self.signatures)
        yield held
        self.kept[standing.till, standing.epoch] = held.kept
        if held.as_of is not None:
            self.heard[standing.till, standing.epoch] = held.as_of

    def entries(self, till: str, epoch: int = 1, branch: str = "") -> list[bytes]:
        return self.kept[till, epoch][branch][1]


class _Held:
    def __init__(
        self, kept: dict[str, tuple[Head, list[bytes], list[Head]]], signatures: dict[tuple[str, int], bytes]
    ) -> None:
        self.signatures = signatures
        self.kept = {name: (base, list(entries), list(heads)) for name, (base, entries, heads) in kept.items()}
        self.as_of: AsOf | None = None

    def branches(self) -> Sequence[Branch]:
        return [Branch(name, base, heads[-1]) for name, (base, _, heads) in self.kept.items()]

    def digests(self, branch: str, first: int, last: int) -> Sequence[str]:
        base, _, heads = self.kept[branch]
        return [heads[seq - base.seq].digest for seq in range(first, last + 1)]

    def extend(self, branch: str, base: Head, believed: Believed) -> None:
        _, entries, heads = self.kept.setdefault(branch, (base, [], [base]))
        self.signatures[branch, believed.head.seq] = believed.signature
        assert heads[-1] == believed.after
        entries.extend(believed.entries)
        heads.extend(Head(believed.after.seq + place, digest) for place, digest in enumerate(believed.digests, 1))

    def signed(self, branch: str) -> tuple[Head, bytes] | None:
        _, _, heads = self.kept[branch]
        signature = self.signatures.get((branch, heads[-1].seq))
        return None if signature is None else (heads[-1], signature)

    def heard(self, as_of: AsOf) -> None:
        self.as_of = as_of


@dataclass
class Bench:
    """A keeper, and what it alarmed about."""

    shelf: MemoryShelf = field(default_factory=MemoryShelf)
    directory: Directory = field(default_factory=a_directory)
    alarms: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        def alarm(about: str, **facts: object) -> None:
            self.alarms.append((about, facts))

        self.keeper = Keeper("S01-node", NODE, self.shelf, self.directory.standing, self.clock, alarm)

    def receive(self, batch: Batch):  # type: ignore[no-untyped-def]
        """Over the wire and in."""
        return self.keeper.receive(decode_batch(encode_batch(batch)))
