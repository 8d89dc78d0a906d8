"""Journals to judge: real chains as lists, and what may be done to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from oppet.base.signing import Signer
from oppet.journal.chain import Checked, Finding, Owner, check, owner_of
from oppet.journal.entry import NOTHING, Head, seal, signed_bytes
from oppet.journal.kinds import Body, EpochOpened, LineAdded, TillStarted

SIGNER = Signer(bytes(range(32)))
THIEF = Signer(bytes(range(1, 33)))
NOON = 1_795_348_800_000  # 2026-11-22 12:00 UTC


def opened(signer: Signer = SIGNER, installation: str = "machine a") -> EpochOpened:
    return EpochOpened(
        store="0413",
        company="Demobutiken ek. för.",
        org_no="5560000000",
        address="Storgatan 1, Umeå",
        register="K3",
        manufacturing_no="OPPET-0001",
        model="Öppet SE",
        software="0.1.0",
        public_key=signer.public.hex(),
        units=("SKD00001",),
        installation=installation,
    )


def started(installation: str = "machine a") -> TillStarted:
    return TillStarted("0.1.0", "prices 1", installation, unclean=False)


def scanned(line: int, name: str = "Mellanmjölk 1,5 l") -> LineAdded:
    return LineAdded(1, line, "7310865001818", name, "Mejeri", "vara", 1000, "st", 1890, 1890, 600)


@dataclass
class Chain:
    """A journal in memory: places with bytes, and signatures."""

    rows: list[tuple[object, bytes | None]] = field(default_factory=list)
    signatures: list[tuple[int, bytes]] = field(default_factory=list)
    head: Head = field(default_factory=lambda: Head(0, NOTHING))
    till: str = "K3"
    epoch: int = 1
    signer: Signer = SIGNER

    def add(self, *bodies: Body, sign: bool = False) -> Self:
        for body in bodies:
            data, self.head = seal(self.head, self.till, self.epoch, NOON + self.head.seq * 1000, body)
            self.rows.append((self.head.seq, data))
        if sign:
            self.sign()
        return self

    def sign(self) -> None:
        message = signed_bytes(self.till, self.epoch, self.head)
        self.signatures.append((self.head.seq, self.signer.sign(message)))

    def copy(self) -> Chain:
        return replace(self, rows=list(self.rows), signatures=list(self.signatures))

    def data(self, seq: int) -> bytes:
        found = dict(self.rows)[seq]
        assert found is not None
        return found

    def put(self, seq: int, data: bytes | None) -> Self:
        """Other bytes in the same place."""
        self.rows[seq - 1] = (seq, data)
        return self

    def edit(self, seq: int, old: bytes, new: bytes) -> Self:
        assert old in self.data(seq)
        return self.put(seq, self.data(seq).replace(old, new, 1))

    def owner(self) -> Owner:
        found = owner_of(self.rows[0][1])
        assert found is not None
        return found

    def checked(self, owner: Owner | None = None) -> Checked:
        return check(iter(self.rows), iter(self.signatures), owner or self.owner())

    def finding(self, owner: Owner | None = None) -> Finding:
        found = self.checked(owner).finding
        assert found is not None
        return found


def a_chain(entries: int = 30, groups: Sequence[int] = (1, 10, 15, 20, 25), signer: Signer = SIGNER) -> Chain:
    """Entries 1 to `entries`, signed at the numbers of `groups`; the last few are an unsigned tail."""
    chain = Chain(signer=signer)
    for number, body in zip(range(1, entries + 1), _bodies(signer), strict=False):
        chain.add(body, sign=number in groups)
    return chain


def _bodies(signer: Signer) -> Iterator[Body]:
    yield opened(signer)
    yield started()
    line = 0
    while True:
        line += 1
        yield scanned(line)
