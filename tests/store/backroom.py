"""A store node for the manager's pages in tests: real journals and certificates, and a word for everything around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oppet.base.clock import utc_text
from oppet.base.errors import RefusedError
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers.gift_book import NotIssuedError
from oppet.drivers.post import Post
from oppet.goods.freshness import StoreMarkDown
from oppet.journal.entry import NOTHING, Head, parse, seal
from oppet.journal.kinds import Body, LineAdded, SaleOpened
from oppet.sale.staff import Member, StaffList
from oppet.store.lanes import GivenBasket, NotGivenError
from oppet.store.web_node import Alarm, Contact, History, MarkedDown, Upward, marked_down
from oppet.sync.certificates import Directory, Revocation, StoreCertificate, TillCertificate, make_paper
from oppet.sync.enrolment import Invitation
from tests.register.world import SUNDAY, FakeClock
from tests.store.shop import BASKETS, StoreTill, a_store_till, sell
from tests.sync.chain import HQ, MANAGER, NODE, WHEN

__all__ = ["HALF_HOUR", "HOST", "STAFF", "FakeBackroom", "PlainPins", "WrongPassphraseError", "a_backroom", "a_post"]

HOST = "127.0.0.1:8401"
HALF_HOUR = 1_800_000
PASSPHRASE = "fyra ord som sitter"
# Alva sells and has nothing to do here; Bo manages; Cleo is on no list.
STAFF = (Member(101, "cashier", "1234"), Member(201, "supervisor", "2345"), Member(301, "manager", "4321"))


class PlainPins:
    """PINs as they are: argon2 has tests of its own."""

    def good(self, digest: str, pin: str) -> bool:
        return digest == pin


class WrongPassphraseError(RefusedError):
    sentence = N_("The passphrase does not open the store manager’s key.")


@dataclass
class FakeBackroom:
    """Histories are lists of exact bytes; what a test wants to happen is set on the fields."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: str = "S01"
    name: str = "S01-node"
    directory: Directory = field(default_factory=lambda: Directory(HQ.public))
    kept: dict[tuple[str, int, str], tuple[Head, list[bytes]]] = field(default_factory=dict)
    heard: dict[str, Contact] = field(default_factory=dict)
    up: Upward = field(default_factory=Upward)
    above: dict[tuple[str, int, str], int] = field(default_factory=dict)
    rung: list[Alarm] = field(default_factory=list)
    doors: list[Invitation] = field(default_factory=list)
    views: dict[tuple[str, int, str], bytes] = field(default_factory=dict)
    url: str = "https://192.0.2.10:8443"
    cards: list[int] = field(default_factory=list)
    lent: list[GivenBasket] = field(default_factory=list)
    reads: int = 0
    cheaper: MarkedDown = field(default_factory=lambda: MarkedDown("ab" * 32, ready=True))

    def __post_init__(self) -> None:
        store = StoreCertificate("S01", "Storgatan", "Nära", MANAGER.public.hex(), NODE.public.hex(), WHEN)
        self.directory.add(make_paper(store, HQ))

    def certify(self, till: str, epoch: int, key: bytes, *, countersigned: bool = True) -> None:
        certificate = TillCertificate(till, epoch, "S01", till[4:], key.hex(), WHEN)
        self.directory.add(make_paper(certificate, MANAGER, *((HQ,) if countersigned else ())))

    def take(self, world: StoreTill) -> None:
        """Everything the till has written is here now."""
        self.kept[world.name, world.epoch, ""] = Head(0, NOTHING), world.exact()
        self.heard[world.name] = Contact(heard=self.clock.now())

    def fork(self, till: str, after: int, bodies: Sequence[Body]) -> None:
        """A second history that differs behind entry `after`."""
        _, entries = self.kept[till, 1, ""]
        base = head = Head(after, parse(entries[after]).prev)
        branch: list[bytes] = []
        heads: list[Head] = []
        for place, body in enumerate(bodies):
            data, head = seal(head, till, 1, self.clock.now() + place, body)
            branch.append(data)
            heads.append(head)
        self.kept[till, 1, heads[0].digest] = base, branch
        facts = (("till", till), ("epoch", "1"), ("seq", str(after + 1)), ("branch", heads[0].digest))
        self.rung.insert(0, Alarm(utc_text(self.clock.now()), "fork", facts))

    # --- what the pages ask

    def histories(self) -> Sequence[History]:
        found = []
        for (till, epoch, branch), (base, entries) in self.kept.items():
            found.append(History(till, epoch, branch, base, Head(base.seq + len(entries), "ab" * 32)))
        return found

    def pieces(self, history: History, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        base, entries = self.kept[history.key]
        self.reads += 1
        return entries[first - 1 - base.seq :][:most]

    def load_view(self, history: History, name: str) -> bytes | None:
        return self.views.get(history.key)

    def save_view(self, history: History, name: str, seq: int, data: bytes) -> None:
        self.views[history.key] = data

    def contact(self, till: str, epoch: int) -> Contact:
        return self.heard.get(till, Contact())

    def upward(self) -> Upward:
        return self.up

    def kept_above(self, history: History) -> int:
        return self.above.get(history.key, 0)

    def alarms(self) -> Sequence[Alarm]:
        return self.rung

    def invitations(self) -> Sequence[Invitation]:
        return self.doors

    def invite(self, till: str, register: str, passphrase: str, by: int) -> Invitation:
        if passphrase != PASSPHRASE:
            raise WrongPassphraseError
        door = Invitation("I-7", "till", "S01", till, register, "K7QM4TXP", self.clock.now(), by)
        self.doors.append(door)
        return door

    def revoke(self, till: str, epoch: int, reason: str, passphrase: str, by: int) -> None:
        if passphrase != PASSPHRASE:
            raise WrongPassphraseError
        self.directory.add(make_paper(Revocation(till, epoch, reason, utc_text(self.clock.now())), MANAGER))

    def given(self) -> Sequence[GivenBasket]:
        return self.lent

    def release(self, given: GivenBasket, by: int) -> None:
        if given not in self.lent:
            raise NotGivenError(till=given.to)
        self.lent.remove(given)

    def gift_cards(self) -> tuple[int, int]:
        return len(self.cards), sum(self.cards)

    def issue_gift_card(self, amount_ore: int, by: int) -> str:
        if not 1_000 <= amount_ore <= 1_000_000:
            raise NotIssuedError(smallest="10,00", largest="10 000,00", amount=str(amount_ore))
        self.cards.append(amount_ore)
        return "GK-7QM4-TXPA-BCDE-FGHJ-K"

    def markdowns(self) -> MarkedDown:
        return self.cheaper

    def mark_down(self, one: StoreMarkDown, by: int) -> None:
        listed = marked_down(self.cheaper.markdowns, one, self.clock.now())
        self.cheaper = MarkedDown(self.cheaper.key, ready=True, number=self.cheaper.number + 1, markdowns=listed)

    def end_markdown(self, goods: str, by: int) -> None:
        left = tuple(one for one in self.cheaper.markdowns if goods not in (one.article, one.gtin))
        self.cheaper = MarkedDown(self.cheaper.key, ready=True, number=self.cheaper.number + 1, markdowns=left)


def a_post(folder: Path, clock: FakeClock) -> Post:
    return Post.open(folder, "S01-node", "store", "S01", clock, "here")


def a_staff_list() -> StaffList:
    return StaffList(STAFF, PlainPins())


def a_backroom(folder: Path) -> FakeBackroom:
    """Two tills that sold all morning. S01-K1 is well; S01-K2 was cut off an hour ago; K2's disk was copied once."""
    node = FakeBackroom()
    for name in ("S01-K1", "S01-K2"):
        clock = FakeClock(SUNDAY - 2 * HALF_HOUR)
        till, world = a_store_till(folder / name, name, clock=clock)
        for number in range(9 if name == "S01-K1" else 5):
            for _ in range(1 + number % 3):
                sell(till, *BASKETS[number % len(BASKETS)], means="card" if number % 2 else "cash")
            clock.pass_ms(HALF_HOUR)
        till.selling.pick(BASKETS[1][0])
        till.selling.park()
        till.selling.pick(BASKETS[0][0])
        node.certify(name, 1, Signer(world.secret).public, countersigned=name == "S01-K1")
        node.take(world)
        assert world.journal is not None
        world.journal.close()
    node.clock.instant = SUNDAY - 2 * HALF_HOUR + 9 * HALF_HOUR
    node.heard["S01-K1"] = Contact(heard=node.clock.now() - 4_000)
    node.heard["S01-K2"] = Contact(heard=node.clock.now() - 3 * HALF_HOUR)
    node.up = Upward(
        140,
        utc_text(node.clock.now() - HALF_HOUR),
        "Keeper HQ does not answer (timed out).",
        node.clock.now() - HALF_HOUR,
    )
    node.above["S01-K1", 1, ""] = len(node.kept["S01-K1", 1, ""][1]) - 60
    article = LineAdded(900, 1, "1001", "Mellanmjölk 1 l", "Mejeri", "vara", 1000, "st", 1_690, 1_690, 600)
    node.fork("S01-K2", 20, [SaleOpened(900, "sale", 101), article])
    return node
