"""Updates at the till's page: one calm line where a cashier must know something, a pane, a switch, and a way to stop installs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from litestar.testing import TestClient

from oppet.journal.kinds import Receipt
from oppet.journal.kinds_published import Attested, InstallsFrozen, PublicationRefused, ReleaseInstalled
from oppet.release.agree import Disagreed
from oppet.release.found import Found, Refused
from oppet.release.ports import Began
from oppet.release.terms import REASONS
from oppet.sale.staff import Member, StaffList
from oppet.till.views_updates import Updates, worded
from oppet.till.web import create_app
from oppet.till.web_tenders import Ticker
from tests.register.world import MILK, World
from tests.release.chain import IMAGE, a_release
from tests.release.taking import NIGHT, FakeSlots, a_look, versions
from tests.till.web.updating import Closing, an_updates
from tests.till.web.windows import HOST, PlainPins, Window

MINUTE = 60_000
ONE_PARTY = a_look(disagreed=(Disagreed("software/till-3.index", "one_party", "vendor", 3),))


class UpdatesWindow(Window):
    updates: Updates
    ticker: Ticker
    restarts: list[int]

    def beat(self, times: int = 1, ms: int = MINUTE) -> str:
        """Time goes by at the till, and the page looks."""
        for _ in range(times):
            self.world.clock.pass_ms(ms)
            self.ticker.tick()
        return self.client.get("/status?seen=0").text


Opens = Callable[..., UpdatesWindow]


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    """A till that takes updates, Alva signed in, the float registered."""
    with ExitStack() as stack:

        def opened(*looks: Found, language: str = "en", **more: object) -> UpdatesWindow:
            world = World(tmp_path)
            till = world.start()
            restarts: list[int] = []
            updates = an_updates(till, *looks, **more)  # type: ignore[arg-type]
            staff = StaffList((Member(7, "cashier", "1234"), Member(3, "manager", "4321")), PlainPins())
            app = create_app(till, staff, {HOST}, ticking=False, updates=updates, restart=lambda: restarts.append(1))
            client = stack.enter_context(TestClient(app, base_url=f"http://{HOST}"))
            client.cookies.set("language", language)
            window = UpdatesWindow(client, world, till)
            window.updates, window.ticker, window.restarts = updates, app.state.ticker, restarts
            window.sign_in()
            window.load()
            window.do("float", amount="500")
            return window

        yield opened


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "Only the vendor signed this release. It is not installed."), ("sv", "leverantören")],
)
def test_rl10_a_cashier_reads_what_was_refused_and_sells_on(opens: Opens, language: str, words: str) -> None:
    window = opens(ONE_PARTY, language=language)
    said = window.beat(3)
    assert words in said
    assert len(window.world.bodies(PublicationRefused)) == 1
    window.do("scan", text=MILK)
    window.do("pay", means="cash", given="100")
    assert len(window.world.bodies(Receipt)) == 1
    assert "news-refused" not in window.do("seen")
    assert "news-refused" not in window.beat(5)


def test_rl10_an_engineer_reads_the_facts(opens: Opens) -> None:
    window = opens(
        a_look(refused=(Refused("metadata", "mix", "chain", "timestamp", "stick", "BadVersionNumberError: 3 < 4"),))
    )
    window.beat(2)
    pane = window.do("go", pane="updates")
    for fact in (
        "mix",
        "stick",
        "BadVersionNumberError: 3 &lt; 4",
        "0.1.0 (1)",
        "1 · 2 · 2 · 2",
        "http://127.0.0.1:8400",
    ):
        assert fact in pane, fact


def test_rl12_the_pane_says_what_waits_and_for_how_long(opens: Opens) -> None:
    window = opens(a_look())
    window.beat(3)
    pane = window.do("go", pane="updates")
    assert "0.2.0 (2)" in pane
    assert "about 599 minutes more" in pane
    assert "3 of 3 trial tills, in 2 of 2 stores" in pane
    assert "it is here, checked and tested" in pane


def test_rl12_the_switch_waits_for_this_customer_is_announced_and_ends_the_program(opens: Opens) -> None:
    window = opens(a_look(health=()), canary=True)
    window.do("scan", text=MILK)
    said = window.beat(5)
    assert "After this customer the till takes a new version" in said
    assert window.updates.intake.slots.switched == []  # type: ignore[attr-defined]
    window.do("pay", means="cash", given="100")
    assert window.restarts == []
    said = window.beat(1)
    assert "data-switching" in said
    assert window.restarts == [], "the page hears of it first"
    window.beat(1)
    assert window.restarts
    assert window.client.get("/health").json()["release"] == 1


def test_rl12_a_basket_begun_in_the_last_moment_is_paid_first(opens: Opens) -> None:
    window = opens(a_look(health=()), canary=True)
    window.beat(1)
    while not window.updates.intake.leaving:
        window.beat(1)
    window.do("scan", text=MILK)
    window.beat(3)
    assert window.restarts == []
    window.do("pay", means="cash", given="100")
    window.beat(2)
    assert window.restarts


def test_rl12_a_question_on_the_screen_is_a_customer(opens: Opens) -> None:
    window = opens(a_look(health=()), canary=True)
    window.do("ask", dialog_name="z")
    window.beat(5)
    assert not window.updates.intake.leaving
    window.do("close")
    window.beat(3)
    assert window.updates.intake.leaving


def test_rl12_stopping_installs_needs_a_supervisor_and_holds_after_a_restart(opens: Opens) -> None:
    window = opens(a_look(health=()), canary=True, hours=NIGHT)
    window.beat(2)
    asked = window.do("freeze", on="yes")
    assert "stop or allow new releases" in asked
    assert window.world.bodies(InstallsFrozen) == []
    window.do("freeze", on="yes", approver="3", approver_pin="4321")
    assert window.world.bodies(InstallsFrozen) == [InstallsFrozen(True, 3)]
    window.do("go", pane="updates")
    assert "A supervisor has stopped new releases" in window.beat(1)
    assert window.world.start().desk.state.releases.frozen
    assert window.client.get("/health").json()["updates"]["frozen"] is True


def test_rl14_an_auditor_gives_a_word_and_finds_it_in_the_journal(opens: Opens) -> None:
    window = opens(a_look())
    window.beat(2)
    assert "not such a word" in window.do("attest", nonce="hello!")
    window.do("attest", nonce="ab12cd")
    window.beat(3)
    said = window.world.bodies(Attested)[-1]
    assert isinstance(said, Attested)
    assert (said.why, said.nonce, said.running) == ("asked", "ab12cd", 1)


def test_rl12_a_first_start_on_a_new_release_is_written_down_with_how_long_it_was_dark(opens: Opens) -> None:
    window = opens(a_look(), slots=FakeSlots(a_release(), "b", began=Began(1, 1_900)))
    assert window.world.bodies(ReleaseInstalled) == [ReleaseInstalled(2, IMAGE, "b", 0, "1", 1_900)]
    window.beat(1)
    assert window.updates.intake.slots.was_proven == 1  # type: ignore[attr-defined]


def test_rl10_no_trouble_with_updates_stands_in_the_way_of_the_till(opens: Opens) -> None:
    window = opens(a_look())
    window.updates.intake.slots.progress = lambda: 1 // 0  # type: ignore[method-assign, assignment, return-value]
    window.ticker.tick()
    window.do("scan", text=MILK)
    window.do("pay", means="cash", given="100")
    assert len(window.world.bodies(Receipt)) == 1


def test_w2_every_reason_is_a_sentence_in_both_languages_whatever_facts_are_missing(opens: Opens) -> None:
    for why in REASONS:
        assert "{" not in worded(why, {}, lambda text: text)
    assert worded("strange", {}, lambda text: text) == "strange"


def test_rl12_a_till_without_updates_has_no_such_pane(tmp_path: Path) -> None:
    world = World(tmp_path)
    till = world.start()
    app = create_app(till, StaffList((Member(7, "cashier", "1234"),), PlainPins()), {HOST}, ticking=False)
    with TestClient(app, base_url=f"http://{HOST}") as client:
        window = Window(client, world, till)
        window.sign_in()
        window.load()
        assert 'value="updates"' not in window.do("go", pane="day")
        window.do("go", pane="updates")
        assert "refused" in window.do("freeze", on="yes")


def test_rl12_what_is_behind_the_pane_ends_with_the_till(opens: Opens) -> None:
    part = Closing()
    window = opens(a_look(number=2, versions=versions(1, 2)), parts=[part])
    window.beat(1)
    window.updates.takers.stop()
    window.updates.close()
    assert part.closed == 1
    assert msgspec.json.encode(window.till.desk.state.releases)
