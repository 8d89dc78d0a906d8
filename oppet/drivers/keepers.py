"""The till's keepers: the second copy before paper, heads compared after boot, and who has what.

One uploader for each keeper (`drivers/upload.py`), so that no keeper waits for another. The second copy waits on the
keepers in the store alone, all at once, within one budget; one that was silent is not waited for until it has answered
quickly in the background, and one that is catching up with a long backlog is not waited for either. HQ is only asked
how far it is while the store node answers and HQ gets further: the node relays. Keeps K17 (one budget, and a silent keeper costs it once),
K18 (an old disk, a fork or a revoked epoch begins no sale) and K9 (a revocation is believed from whoever may say it).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from oppet.base.errors import OppetError, UntrustedError, clip
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.keeper_client import KeeperClient
from oppet.drivers.upload import Lag, Uploader
from oppet.journal.entry import Head
from oppet.register.ports import KeeperState
from oppet.sync.certificates import Directory, Standing, believe_kept
from oppet.sync.copies import BUDGET_MS, Holding
from oppet.sync.enrolment import Enrolled
from oppet.sync.errors import EpochRevokedError, ForkedError, OldImageError, UnshownClaimError
from oppet.sync.messages import Ack, KeeperInfo, Paper
from oppet.sync.sender import News, Sender, Source

__all__ = ["Keepers", "directory_of", "infos_of"]

LOG = logging.getLogger("oppet.keepers")

CONFIRM_MS = 1_500  # before the first entry after boot: what a cashier does not notice when the cable is cut
CATCHING_UP = 500  # entries behind: more than this is not waited for, it would only spend the budget
RELAY_MS = 60_000  # HQ is given no entries while the node answers, unless it gets no further for this long
LINGER_MS = 500  # scans are gathered; a sale goes at once
MOST_ALARMS = 20
INSIDE = ("store", "till")


def directory_of(enrolled: Enrolled) -> Directory:
    """What the till's papers say; a paper that proves nothing is left out."""
    directory = Directory(bytes.fromhex(enrolled.hq_key))
    for left in believe_kept(directory, enrolled.papers):
        LOG.warning("a kept paper proves nothing: %s", clip(left.text, 200))
    return directory


def infos_of(enrolled: Enrolled) -> tuple[KeeperInfo, ...]:
    """The keepers the papers name, but not the till itself."""
    return tuple(info for info in enrolled.keepers if info.name != enrolled.till)


class Keepers:
    """A `register.ports.Copies`, and an uploader's listener. `begin` starts the threads, `close` ends them."""

    def __init__(
        self, source: Source, enrolled: Enrolled, papers: Path, others: dict[tuple[str, int], bytes], clock: SystemClock
    ) -> None:
        """`papers` is the file in which what comes down is kept; `others` learns the store's other tills' keys."""
        self._source = source
        self._enrolled = enrolled
        self._papers = papers
        self._others = others
        self._clock = clock
        self._directory = directory_of(enrolled)
        self._changed = threading.Condition()
        self._ups: list[Uploader] = []
        self._silent: set[str] = set()
        self._hq_moved = clock.counter()  # when HQ last had more than before, or everything
        self._hq_has: dict[tuple[str, int], int] = {}
        self._refusal: OppetError | None = None
        self.alarms: list[tuple[int, OppetError]] = []  # when, and what; the latest last
        self._learn()

    def begin(self, older: Sequence[Source] = (), *, direct: bool = False) -> None:
        """Start sending this epoch's history, and what older epochs have not got rid of.

        With `direct` HQ is sent everything too, whether the store node relays or not.
        """
        folder = self._papers.parent
        infos = infos_of(self._enrolled)
        nodes: list[Uploader] = []

        def relayed() -> bool:
            if self._clock.counter() - self._hq_moved >= RELAY_MS:
                return False
            return any(up.kept(self._source.till, self._source.epoch) is not None for up in nodes)

        for info in sorted(infos, key=lambda info: info.place != "store"):
            up = Uploader(
                info,
                self,
                linger_ms=LINGER_MS,
                remember=folder / f"kept-{info.name}.json",
                lazy=relayed if info.place == "hq" and not direct else None,
                on_away=self._away,
                clock=self._clock,
            )
            if info.place == "store":
                nodes.append(up)
            self._ups.append(up)
            for source in (self._source, *older):
                up.add(source)

    def flush(self, wait_ms: int) -> None:
        """Wait a little for what was written last to reach whoever answers; the rest goes at the next start."""
        head, till, epoch = self._source.head, self._source.till, self._source.epoch
        deadline = self._clock.counter() + wait_ms
        for up in self._ups:
            up.nudge(till, epoch)
        with self._changed:
            while (left := deadline - self._clock.counter()) > 0:
                here = [kept for up in self._ups if (kept := up.kept(till, epoch)) is not None]
                if not here or max(here) >= head.seq:
                    return
                self._changed.wait(left / 1000)

    def close(self) -> None:
        """End the threads; twice does no harm."""
        ups, self._ups = self._ups, []
        for up in ups:
            up.close()

    # --- the checkout's port

    def second(self, head: Head) -> int:
        """Nudge the keepers in the store and wait until one has `head`, or the budget is spent."""
        till, epoch = self._source.till, self._source.epoch
        inside = [up for up in self._ups if up.info.place in INSIDE]
        asked = [up for up in inside if up.info.name not in self._silent and self._close_behind(up, head)]
        for up in inside:
            up.nudge(till, epoch)
        if not asked:
            return 0
        deadline = self._clock.counter() + BUDGET_MS
        with self._changed:
            while True:
                having = sum((up.kept(till, epoch) or 0) >= head.seq for up in inside)
                left = deadline - self._clock.counter()
                if having or left <= 0 or all(up.away() for up in asked):
                    break
                self._changed.wait(left / 1000)
        if not having:
            self._silent |= {up.info.name for up in asked}
        return having

    def _close_behind(self, up: Uploader, head: Head) -> bool:
        kept = up.kept(self._source.till, self._source.epoch)
        return kept is not None and head.seq - kept <= CATCHING_UP

    def confirm(self, head: Head) -> bool:
        """Ask every keeper at once whether it knows more of this epoch than this disk does."""
        if self._refusal is not None:
            raise self._refusal
        found: list[OppetError | bool] = []
        infos = infos_of(self._enrolled)
        deadline = self._clock.counter() + CONFIRM_MS
        asking = [
            threading.Thread(target=self._ask_head, args=(info, found), daemon=True, name=f"confirm-{info.name}")
            for info in infos
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(max(deadline - self._clock.counter(), 1) / 1000)
        with self._changed:
            said = list(found)
        for answer in said:
            if isinstance(answer, OppetError):
                self._refusal = answer
                raise answer
        if self._refusal is not None:  # a revocation came with an answer
            raise self._refusal
        assert self._source.head == head, "nothing is written before the heads are compared"
        return any(answer is True for answer in said)

    def _ask_head(self, info: KeeperInfo, found: list[OppetError | bool]) -> None:
        client = KeeperClient(info, CONFIRM_MS / 1000)
        sender = Sender(self._source, info.name, bytes.fromhex(info.public_key))
        try:
            for _ in range(2):
                batch = sender.ask(self._clock.counter())
                assert batch is not None, "a new sender asks"
                answer = client.batch(batch)
                self.papers_came(info, answer.papers)
                news = sender.answered(answer, self._clock.counter())
                if news.about != "stranger":
                    wrong = self._judged(info, self._source, news)
                    with self._changed:
                        found.append(wrong if wrong is not None else True)
                    return
                client.introduce(self.papers_of(self._source.till, self._source.epoch))
        except OppetError as error:
            LOG.info("%s", error)
        finally:
            client.close()

    def refusal(self) -> OppetError | None:
        return self._refusal

    def keepers(self) -> Sequence[KeeperState]:
        till, epoch = self._source.till, self._source.epoch
        states = []
        for up in self._ups:
            lag = next((lag for lag in up.lags() if (lag.till, lag.epoch) == (till, epoch)), None)
            if lag is not None:
                states.append(_state(lag))
        return states

    # --- what else the till asks

    def lags(self) -> list[Lag]:
        """Every history with every keeper, for health."""
        return [lag for up in self._ups for lag in up.lags()]

    def holdings(self, till: str, epoch: int) -> list[Holding]:
        """What keepers have of a history by the word they signed in this run: what may be wiped is reckoned from this."""
        acks = [(up.info, up.ack(till, epoch)) for up in self._ups if up.kept(till, epoch) is not None]
        return [Holding(info.name, info.place, ack.seq) for info, ack in acks if ack is not None and not ack.branch]

    def wait(self, ms: int) -> None:
        """Until a keeper has said something, at most so long."""
        with self._changed:
            self._changed.wait(ms / 1000)

    def retry(self) -> None:
        """Ask every keeper now, whatever its pause."""
        for up in self._ups:
            up.retry()

    def node_away(self) -> bool:
        """Whether the store node is known not to answer now."""
        return any(up.info.place == "store" and up.away() for up in self._ups)

    def store_node(self) -> KeeperInfo | None:
        """The keeper that also rules between the store's tills."""
        return next((info for info in infos_of(self._enrolled) if info.place == "store"), None)

    # --- the uploaders' listener

    def papers_of(self, till: str, epoch: int) -> Sequence[Paper]:
        with self._changed:
            return self._directory.papers_of(till, epoch)

    def papers_came(self, keeper: KeeperInfo, papers: Sequence[Paper]) -> None:  # noqa: ARG002
        """Believe what proves itself, keep it beside the key, and stop selling when our own epoch is revoked (K9)."""
        if not papers:
            return
        with self._changed:
            new = False
            for paper in papers:
                try:
                    new |= self._directory.add(paper)
                except UntrustedError as error:
                    self._noted(error)
                except OppetError as error:
                    LOG.warning("%s", error)
            if not new:
                return
            kept = msgspec.structs.replace(self._enrolled, papers=tuple(self._directory.papers()))
            self._learn()
        try:
            files.write(self._papers, msgspec.json.encode(kept))
        except OppetError as error:
            LOG.warning("%s", error)

    def heard(self, keeper: KeeperInfo, source: Source, news: News, ack: Ack | None, took_ms: int) -> None:
        wrong = self._judged(keeper, source, news)
        with self._changed:
            if took_ms < BUDGET_MS:
                self._silent.discard(keeper.name)
            if keeper.place == "hq" and ack is not None:
                place = source.till, source.epoch
                if ack.seq >= source.head.seq or ack.seq > self._hq_has.get(place, 0):
                    self._hq_moved = self._clock.counter()
                self._hq_has[place] = ack.seq
            if wrong is not None and source is self._source and self._refusal is None:
                self._refusal = wrong
                self._noted(wrong)
            self._changed.notify_all()

    def alarm(self, keeper: KeeperInfo, source: Source, error: OppetError) -> None:  # noqa: ARG002
        with self._changed:
            self._noted(error)

    def _away(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _judged(self, keeper: KeeperInfo, source: Source, news: News) -> OppetError | None:
        """What an answer proves against this disk (K18)."""
        facts = {"keeper": keeper.name, "till": source.till, "epoch": source.epoch}
        if news.about == "ahead":
            return OldImageError(**facts, theirs=news.seq, ours=news.before)
        if news.about == "forked":
            return ForkedError(**facts)
        if news.about == "claim":
            self._noted(UnshownClaimError(**facts))
        return None

    def _learn(self) -> None:
        """Follow the directory: keys of the store's other tills, and whether we are revoked."""
        store = self._enrolled.store
        for known in self._directory.tills(store):
            self._others[known.till, known.epoch] = bytes.fromhex(known.public_key)
        standing: Standing | None = self._directory.standing(self._source.till, self._source.epoch)
        if standing is not None and standing.revoked and self._refusal is None:
            self._refusal = EpochRevokedError(till=standing.till, epoch=standing.epoch, reason=standing.revoked)
            self._noted(self._refusal)

    def _noted(self, error: OppetError) -> None:
        LOG.warning("%s", error)
        self.alarms = [*self.alarms, (self._clock.now(), error)][-MOST_ALARMS:]


def _state(lag: Lag) -> KeeperState:
    silent = lag.failures > 0 or not lag.spoke
    return KeeperState(lag.keeper, lag.place, lag.kept, lag.behind, lag.heard, silent, lag.why)
