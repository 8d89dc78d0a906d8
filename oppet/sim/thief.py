"""The thief on the wire, and in a till he has taken over: replays, forges, cuts, bombs, and answers in a keeper's name.

He has heard what was sent and has keys of his own; he has no till's key but that of the one he took. Nothing he sends
may be kept or believed (laws 2 and 4), and nothing waits because of him (law 9).
"""

from __future__ import annotations

from random import Random

import msgspec
import zstandard

from oppet.base.clock import utc_text
from oppet.base.errors import OppetError
from oppet.base.signing import Signer
from oppet.drivers.faulty_disk import PowerCutError
from oppet.journal.entry import NOTHING, Head, seal, signed_bytes
from oppet.journal.kinds import DrawerOpened
from oppet.sim.keepers import Chain, Machine
from oppet.sync.certificates import Revocation, StoreCertificate, TillCertificate, make_paper
from oppet.sync.messages import (
    LARGEST_BATCH,
    LARGEST_PLAIN,
    Ack,
    Answer,
    Batch,
    Paper,
    decode_batch,
    encode_batch,
    pack,
    unpack,
)
from oppet.sync.sender import Sender

__all__ = ["BLOWS", "LIES", "Thief"]

LIES = ("unsigned", "another keeper's", "not ours", "old")
BLOWS = (
    "replay", "replay elsewhere", "changed", "reordered", "other till", "own key", "torn", "flipped", "huge", "bomb",
    "other's entries", "false paper", "false store", "false revocation", "stranger's manager", "newer", "two ends",
)  # fmt: skip
KEY = Signer(bytes([66]) * 32)


class Thief:
    def __init__(self, world: Chain) -> None:
        self._world = world
        self._lies: list[str] = []
        self._before: dict[tuple[str, str, int], Ack] = {}
        self.busy = False  # he has just answered for somebody

    def plan(self, lie: str) -> None:
        """Answer the next question somewhere in a keeper's name."""
        self._lies.append(lie)

    def calm(self) -> None:
        self._lies.clear()

    def meddle(self, sender: Sender, target: Machine, answer: Answer) -> Answer:
        """Exchange a keeper's answer, if it is time."""
        source, ack = sender.source, answer.ack
        if ack is None or not self._lies:
            if ack is not None:
                self._before[target.name, source.till, source.epoch] = ack
            return answer
        lie = self._lies.pop(0)
        self._world.count(f"thief answers: {lie}")
        self.busy = True
        head = source.head
        told = Ack(
            target.name, source.till, source.epoch, "", head.seq, head.digest, utc_text(self._world.now), "0" * 128
        )
        if lie == "another keeper's":
            return Answer("kept", msgspec.structs.replace(ack, keeper="S99-node"))
        if lie == "not ours":
            return Answer("kept", msgspec.structs.replace(told, seq=head.seq + 5, digest="f" * 64))
        if lie == "old":
            return Answer("kept", self._before.get((target.name, source.till, source.epoch), ack))
        return Answer("kept", told)

    def strike(self, blow: str, salt: int) -> None:
        """Send one hostile message to somebody."""
        world, chance = self._world, Random(salt)
        targets = [machine for _, machine in sorted(world.machines.items()) if machine.up and machine.role is not None]
        if not targets:
            return
        target = chance.choice(targets)
        role = target.role
        assert role is not None
        world.count(f"thief: {blow}")
        try:
            if blow in ("false paper", "false store", "false revocation", "stranger's manager"):
                role.introduce([self._paper(blow, chance)])
                world.laws.wrong("4", f"{target.name} believed a paper of the thief's ({blow})")
                return
            heard = self._heard(blow, chance)
            if heard is None:
                return
            where, octets = heard
            if where and blow == "replay" and world.machines[where].up:
                first = world.machines[where].role
                assert first is not None
                role, target = first, world.machines[where]
            role.take(octets)
        except OppetError:
            pass
        except PowerCutError as cut:
            world.died(cut.machine)
        world.laws.held("4 a thief is not believed")

    def _heard(self, blow: str, chance: Random) -> tuple[str, bytes] | None:
        tapped = self._world.network.tapped
        if blow == "other's entries":
            return "", encode_batch(self._taken_over(chance))
        if not tapped:
            return None
        where, octets = chance.choice(list(tapped))
        if blow.startswith("replay"):
            return where, octets
        if blow == "torn":
            return where, octets[: chance.randrange(len(octets))]
        if blow == "flipped":
            torn = bytearray(octets)
            torn[chance.randrange(len(torn))] ^= 1 << chance.randrange(8)
            return where, bytes(torn)
        if blow == "huge":
            return where, octets + bytes(LARGEST_BATCH)
        return where, encode_batch(self._forged(blow, decode_batch(octets), chance))

    def _forged(self, blow: str, batch: Batch, chance: Random) -> Batch:
        change = msgspec.structs.replace
        if blow == "other till":
            others = [name for name, _ in sorted(self._world.issued) if name != batch.till]
            return change(batch, till=chance.choice(others) if others else "S99-K1")
        if blow == "bomb":
            return change(batch, packed=zstandard.ZstdCompressor().compress(bytes(LARGEST_PLAIN + 1)))
        if blow == "newer":
            return change(batch, v=2)
        if blow == "two ends":
            return change(batch, last=(batch.after[0], "e" * 64), packed=b"")
        entries = unpack(batch)
        if blow == "reordered" and len(entries) > 1:
            entries[0], entries[1] = entries[1], entries[0]
            return change(batch, packed=pack(entries))
        # An entry of his own making behind what was heard, under his own key or the old signature.
        data, head = seal(Head(*batch.after), batch.till, batch.epoch, self._world.now, DrawerOpened("tjuv", 666, 666))
        signature = batch.signature
        if blow == "own key":
            signature = KEY.sign(signed_bytes(batch.till, batch.epoch, head)).hex()
        return change(batch, last=(head.seq, head.digest), signature=signature, packed=pack([data]), as_of=None)

    def _taken_over(self, chance: Random) -> Batch:
        """A till he has taken over signs entries that say they are another's."""
        world = self._world
        till, epoch = chance.choice(sorted(world.issued))
        other, its = chance.choice(sorted(world.issued))
        data, head = seal(Head(0, NOTHING), other, its, world.now, DrawerOpened("tjuv", 666, 666))
        if (other, its) == (till, epoch):
            data, head = seal(Head(0, NOTHING), "S99-K9", 1, world.now, DrawerOpened("tjuv", 666, 666))
        signature = world.till_key(till, epoch).sign(signed_bytes(till, epoch, head)).hex()
        return Batch(till, epoch, (0, NOTHING), (head.seq, head.digest), signature, packed=pack([data]))

    def _paper(self, blow: str, chance: Random) -> Paper:
        world = self._world
        till, epoch = chance.choice(sorted(world.issued))
        store, when = till[:3], utc_text(world.now)
        if blow == "false store":
            document = StoreCertificate(store, "Storgatan", "Nära", KEY.public.hex(), KEY.public.hex(), when)
            return make_paper(document, KEY)
        if blow == "false revocation":
            return make_paper(Revocation(till, epoch, "tjuv", when), KEY)
        register = f"{till}-{epoch + 70}"
        certificate = TillCertificate(till, epoch + 70, store, register, KEY.public.hex(), when)
        signer = KEY
        if blow == "stranger's manager":
            signer = world.managers[chance.choice(sorted(world.managers))] if len(world.managers) > 1 else KEY
            if signer is world.managers.get(store):
                signer = KEY
        return make_paper(certificate, signer)
