"""What tills say they run and refuse, as head office has it: the last word on each subject, however the entries were cut."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import psycopg
import pytest

from oppet.base.signing import Signer
from oppet.drivers.hq_obeyed import HqObeyed
from oppet.drivers.hq_rebuild import rebuild
from oppet.drivers.pg import Pool
from oppet.figures.views import Views
from oppet.journal.body import Fact
from oppet.journal.kinds_published import (
    Attested,
    GoodsActivated,
    HealthSaid,
    PublicationRefused,
    ReleaseInstalled,
    ReleaseSeen,
    RepositoryVersions,
    SlotSeen,
)
from oppet.release.health import evidence_of
from tests.hq.sold import Office, chained, clear, dump, envelopes, one
from tests.register.world import SECRET
from tests.release.chain import IMAGE, a_canary, a_pace, a_word
from tests.sync.chain import History

SAID = a_word(a_canary("S01", "S01-K1"))
BODIES = (
    Attested("start", 1, (SlotSeen("a", 1, "00" * 32, sound=True),), (RepositoryVersions("vendor", 1, 4, 4, 2),), "aa" * 32, "bb" * 32),
    ReleaseSeen(2, IMAGE, "0.2.0", "dwell", (Fact("minutes", "90"),)),
    ReleaseInstalled(2, IMAGE, "b", 1, "1", 900),
    HealthSaid(SAID.statement, SAID.signature),
    GoodsActivated("goods/assortment-7.json", "cc" * 32, 7, 400, 12),
    PublicationRefused("release", "one_party", 3, "software/till-3.index", "vendor", "hq"),
    PublicationRefused("release", "disagree", 4, "software/till-4.index", facts=(Fact("reason", "a\x00b"),)),
)  # fmt: skip


@pytest.fixture
def office(dsn: str) -> Iterator[Office]:
    clear(dsn)
    office = Office(dsn)
    yield office
    office.close()


@pytest.fixture
def asked(dsn: str) -> Iterator[HqObeyed]:
    pool = Pool(dsn)
    yield HqObeyed(pool)
    pool.close()


def a_history() -> History:
    history = History(till="S01-K1", signer=Signer(SECRET))
    for body in BODIES:
        history.write(body=body)
    return history


def test_rl14_head_office_knows_what_a_till_runs_charges_and_refused_last(office: Office, asked: HqObeyed) -> None:
    office.take(a_history())
    [till] = asked.tills()
    assert (till.store, till.till, till.epoch) == ("S01", "S01-K1", 1)
    assert till.word(ReleaseInstalled) == BODIES[2]
    assert till.word(Attested).slots[0].release == 1
    assert till.word(GoodsActivated).number == 7
    assert till.word(PublicationRefused).why == "disagree"
    assert till.at(PublicationRefused) > 0
    assert till.word(type(BODIES[1])) == BODIES[1]
    assert asked.tills("S02") == []
    assert one(office.dsn, "SELECT count(*) FROM quarantine") == 0


def test_rl4_a_trial_tills_word_comes_through_whole_and_still_counts(office: Office, asked: HqObeyed) -> None:
    office.take(a_history())
    assert asked.statements(IMAGE) == [SAID]
    assert evidence_of(asked.statements(IMAGE), IMAGE, a_pace()).tills == 1
    assert asked.statements("00" * 32) == []


def test_r02_the_last_words_do_not_depend_on_how_entries_were_cut_and_are_made_again(office: Office) -> None:
    history = a_history()
    office.take(history)
    before = dump(office.dsn)
    assert len(before["obeyed"]) == len(BODIES) - 1
    for seed in range(3):
        clear(office.dsn)
        office.take(history, sorted(Random(seed).sample(range(1, history.head.seq), 3)))
        assert dump(office.dsn) == before
    with psycopg.connect(office.dsn) as connection:
        connection.execute("DELETE FROM obeyed")
    list(rebuild(office.dsn, Views().see))
    assert dump(office.dsn) == before


def test_r21_a_word_that_cannot_be_read_is_set_aside_and_the_next_counts(office: Office, asked: HqObeyed) -> None:
    said = envelopes(a_history())
    said[0]["body"]["slots"] = "none"
    said[3]["body"]["statement"] = "{"
    said[4]["body"]["name"] = "x" * 20_000
    office.take(chained(said, "S01-K1"))
    [till] = asked.tills()
    assert sorted(till.words) == ["publication_refused", "release_installed", "release_seen"]
    assert one(office.dsn, "SELECT count(*) FROM quarantine") == 3
