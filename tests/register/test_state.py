"""What the till knows is a fold of its entries: after any day, replay, snapshot and memory say the same (T1)."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import msgspec
import pytest

from oppet.base.errors import OppetError
from oppet.fiscal.series import believe_series
from oppet.fiscal.tally import Tally, follow
from oppet.journal.kinds import KINDS, Body, LineAdded, Receipt, SaleOpened, SaleResumed
from oppet.register.desk import VIEW, Rules
from oppet.register.state import State
from oppet.register.till import Till
from oppet.sale import basket as baskets
from oppet.sale.basket import NEXT
from tests.register.world import (
    ALVA,
    BAG,
    BANANA,
    BEER,
    BO,
    BREAD,
    COLA,
    CRISPS,
    MILK,
    FakePath,
    FakeUnit,
    World,
    a_till,
)

WORDS = ("ok", "ok", "ok", "busy", "silent_registered", "silent_unregistered")


def live(till: Till, world: World, chance: Random) -> None:  # noqa: C901, PLR0915 - one arm for each deed
    """One deed of a till, sensible or not; refusals are part of the day."""
    state = till.desk.state
    lines = state.baskets[state.current].last_line if state.current else 1
    line = chance.randint(1, max(1, lines))
    what = chance.choice(("pick",) * 6 + DEEDS)
    match what:
        case "pick":
            goods = chance.choice((MILK, BREAD, COLA, BEER, BAG, CRISPS))
            till.selling.pick(goods, 1000 * chance.randint(1, 4))
        case "weigh":
            till.selling.pick(BANANA, chance.randint(1, 3_000))
        case "change":
            till.selling.change(line, 1000 * chance.randint(0, 3), BO)
        case "void":
            till.selling.void(line, BO)
        case "discount":
            till.selling.discount(chance.choice((0, line)), chance.randint(0, 110), 0, "skadad", BO)
        case "amount":
            till.selling.discount(chance.choice((0, line)), 0, chance.randint(1, 9_000), "skadad", BO)
        case "withdraw":
            till.selling.withdraw_discount(chance.randint(1, 3))
        case "member":
            till.selling.member(chance.choice(("M1", "")))
        case "age":
            till.selling.check_age(passed=chance.random() < 0.8)
        case "park":
            till.selling.park()
        case "resume":
            till.selling.resume(chance.choice([0, *state.baskets]))
        case "abandon":
            till.selling.abandon("ångrade sig", BO)
        case "begin":
            till.selling.begin(chance.choice(("sale", "training")))
        case "pay":
            due = till.desk.priced(till.desk.basket()).total_ore - till.desk.basket().paid_ore()
            till.checkout.pay("card", due)
        case "part":
            till.checkout.pay(chance.choice(("card", "cash", "swish")), 100 * chance.randint(0, 40))
        case "cash":
            till.checkout.pay("cash", 50_000)
        case "take back":
            till.checkout.take_back(chance.randint(1, 3))
        case "finish":
            till.checkout.finish()
        case "copy":
            till.checkout.copy(chance.randint(1, 5))
        case "return":
            if state.current:
                till.selling.park()
            till.returns.begin(str(chance.randint(1, max(1, state.numbers.get("normal", 0)))), BO)
            for item in till.returns.lines():
                if item.left_milli and not item.line.pant_of and chance.random() < 0.7:
                    till.returns.take(item.line.line, 1000 if item.line.unit == "st" else item.left_milli)
        case "take":
            till.returns.take(line, 1000 * chance.randint(1, 2))
        case "units":
            for unit in world.units:
                unit.plan = chance.choices(WORDS, k=chance.randint(0, 3))
                unit.dead = chance.random() < 0.1
        case "open":
            for closed in list(state.closed_units):
                till.checkout.open_unit(closed, BO)
            if state.outage:
                for unit in world.units:
                    unit.dead = False
                till.checkout.end_outage(0, 0, BO)
        case "paper":
            for path in world.paths:
                path.away = chance.random() < 0.2
            till.printing.print_all()
        case "drawer":
            till.drawer.open("växel", BO)
        case "safe":
            till.drawer.move(100 * chance.randint(-50, 50), "kassaskåp", BO)
        case "count":
            till.drawer.count({50_000: chance.randint(0, 3), 100: chance.randint(0, 300)})
        case "x":
            till.drawer.x()
        case "z":
            till.drawer.z(BO)
            till.drawer.set_float(50_000)
        case "who":
            till.sign_in(chance.choice((ALVA, BO)))
        case "out":
            till.sign_out()
            till.sign_in(ALVA)
        case "clock":
            world.clock.instant += chance.choice((-60_000, 60_000, -86_400_000, 0))
            till.desk.confirm_time(None, BO)
        case "price":
            till.selling.ask_price("7310865004703")


DEEDS = (
    "weigh", "change", "void", "discount", "amount", "withdraw", "member", "age", "park", "resume", "abandon", "begin", "pay", "pay",
    "part", "cash", "cash", "take back", "finish", "copy", "return", "return", "return", "take", "pay", "resume",
     "units", "open", "paper", "drawer", "safe",
    "count", "x", "z", "who", "out", "clock", "price",
)  # fmt: skip


def replayed(world: World) -> tuple[State, Tally]:
    state, tally = State(), Tally()
    for entry, body in world.entries():
        state.apply(entry.seq, entry.time, body)
        tally = follow(tally, entry.seq, body)
    return state, tally


SEEDS = 20
HAPPENED: Counter[str] = Counter()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_t1_s1_memory_replay_and_snapshot_agree_after_any_day(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    units = [FakeUnit("FIRST001"), FakeUnit("SECOND01", repeat_keeps_serial=True)]
    paths = [FakePath("first"), FakePath("screen", kind="electronic")]
    till, world = a_till(tmp_path, units=units, paths=paths, rules=Rules(disk_least_mb=0, views_every=100))
    for deed in range(150):
        with suppress(OppetError):
            live(till, world, chance)
        world.clock.pass_ms(chance.randint(1, 90_000))
        if deed % 10 == 0:
            state, tally = replayed(world)
            assert till.desk.state == state
            assert state.tally == tally
        if chance.random() < 0.03:
            if chance.random() < 0.5:
                till.stop()
            before = msgspec.json.encode(till.desk.state.baskets)
            till = world.start()
            assert msgspec.json.encode(till.desk.state.baskets) == before, "an open basket survives"
            till.sign_in(ALVA)
    state, tally = replayed(world)
    assert till.desk.state == state == msgspec.json.decode(msgspec.json.encode(till.desk.state), type=State)
    assert state.tally == tally
    assert believe_series(entry for entry, _ in world.entries()) == []
    made = [body for body in world.bodies(Receipt) if isinstance(body, Receipt)]
    assert len({(receipt.kind == "training", receipt.number) for receipt in made}) == len(made)
    for receipt in made:
        assert all(line.net_ore >= 0 for line in receipt.lines)
        mixed = {bool(line.original_line) for line in receipt.lines}
        assert mixed == {receipt.kind == "return"}, "a receipt is a sale or a return"
    sold = {receipt.number: receipt.total_ore for receipt in made if receipt.kind == "sale"}
    for number, total_ore in sold.items():
        of_it = [r.total_ore for r in made if r.original is not None and r.original.number == number]
        assert sum(of_it) <= total_ore, "never more is returned than was bought"
    HAPPENED.update(type(body).__name__ for _, body in world.entries())
    HAPPENED.update(receipt.kind for receipt in made)


def test_t1_those_days_were_full() -> None:
    """What the days above never did, they do not prove."""
    rare = {"CashMoved", "RegistrationGivenUp", "CodeUnknown", "TenderReversed", "SaleResumed", "return", "training"}
    if HAPPENED["EpochOpened"] == SEEDS:
        assert {name: HAPPENED[name] for name in rare if not HAPPENED[name]} == {}
        assert HAPPENED["return"] > SEEDS


def test_t1_a_snapshot_of_another_shape_or_of_noise_is_thrown_away(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.stop()
    assert world.journal is not None
    head = world.journal.head
    for noise in (b"", b"{", b'{"seq":"many"}', b"[]", b'{"baskets":7}'):
        world.journal.save_view(VIEW, head.seq, head.digest, noise)
        again = world.start()
        assert again.desk.state == replayed(world)[0]
        assert world.journal is not None
        head = world.journal.head


def test_t1_a_kind_from_the_future_changes_nothing(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    before = msgspec.json.encode(till.desk.state)
    till.desk.state.apply(till.desk.state.seq, till.desk.state.time, None)
    assert msgspec.json.decode(msgspec.json.encode(till.desk.state)) == msgspec.json.decode(before)


def test_s2_an_entry_of_a_basket_that_is_not_there_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        State().apply(1, "", SaleResumed(4, 7))


def test_r07_a_second_receipt_of_a_sale_finds_no_basket(tmp_path: Path) -> None:
    """An older copy of a paid sale is never folded over it: its basket is gone, and the fold says so."""
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("card", 1_690)
    for body in (*world.bodies(LineAdded), *world.bodies(Receipt)):
        with pytest.raises(AssertionError):
            till.desk.state.apply(999, "", body)
    assert till.desk.state.baskets == {}


def test_s11_no_entry_has_room_for_a_person() -> None:
    """Law 7 of the design: no field of any entry is a name of a member, a payer or of staff."""
    people = {"customer", "payer", "alias", "phone", "email", "personal", "person", "birth", "firstname", "surname"}
    for kind in KINDS.values():
        for field in kind.__struct_fields__:
            assert not people & set(field.split("_")), f"{kind.__name__}.{field}"
    assert {kind for _, kind in NEXT} <= set(Body.__subclasses__())
    assert baskets.opened(SaleOpened(1, "sale", 7), "").cashier == 7
