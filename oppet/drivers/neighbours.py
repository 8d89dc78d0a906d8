"""The store's other tills, asked by way of the store node: short questions, signed both ways, with one short deadline.

A node that is known to be away is not asked, so that a cashier waits for it once and not at every basket. An answer that
its key did not sign, or that answers another question, counts as none and is an alarm. Keeps K19 (no answer about other
tills is believed but the node's, signed, to this very question).
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence

import msgspec

from oppet.base.clock import Clock, local_day, utc_text
from oppet.base.errors import OppetError
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers.clock import SystemClock
from oppet.drivers.keeper_client import KeeperClient
from oppet.journal.entry import body_of, parse
from oppet.journal.kinds import Body, Elsewhere, Original, ReceiptTender
from oppet.payments.vouchers import VoucherUsedError
from oppet.register.errors import HeldElsewhereError, NeighboursAwayError, TakenElsewhereError
from oppet.register.ports import Parked
from oppet.sale.errors import NotMovableError
from oppet.sale.lines import Came
from oppet.sync.errors import KeeperAwayError
from oppet.sync.lanes import (
    Ask,
    AskHold,
    AskParked,
    AskResume,
    AskRisk,
    AskSpend,
    AskTake,
    Lane,
    Refused,
    Told,
    check,
    sign,
)
from oppet.sync.messages import KeeperInfo

__all__ = ["DEADLINE_S", "LaneNeighbours"]

LOG = logging.getLogger("oppet.neighbours")

DEADLINE_S = 0.3
MOST_ENTRIES = 5_000
AGAIN_MS = 5_000  # how old what is at risk at the other tills may be before it is asked about again


class LaneNeighbours:
    """A `register.ports.Neighbours`. One caller at a time."""

    def __init__(
        self,
        node: KeeperInfo,
        till: str,
        epoch: int,
        signer: Signer,
        *,
        away: Callable[[], bool] = lambda: False,
        deadline_s: float = DEADLINE_S,
        clock: Clock | None = None,
    ) -> None:
        """`away` says whether the node is known not to answer now; `clock` is the till's believed one: a machine whose
        clock is wrong and was confirmed by a supervisor asks like any other."""
        self._node = node
        self._till, self._epoch, self._signer = till, epoch, signer
        self._away = away
        self._client = KeeperClient(node, deadline_s)
        self._clock = clock if clock is not None else SystemClock()
        self._gone: Sequence[tuple[int, Elsewhere]] = ()
        self._at_risk_ore = 0
        self._at_risk_day = ""
        self._asked_ms = -AGAIN_MS  # when the budget was last asked about, by a clock that never runs backwards
        self._asking: threading.Thread | None = None
        self._deadline_s = deadline_s
        self._paid: tuple[Original, Sequence[ReceiptTender]] | None = None  # of the last receipt that was held

    def at_risk_ore(self) -> int:
        """What the store's other tills took at risk today, as the node last said; nothing waits, it is asked again behind."""
        now = SystemClock().counter()
        if (
            now - self._asked_ms >= AGAIN_MS
            and (self._asking is None or not self._asking.is_alive())
            and not self._away()
        ):
            self._asked_ms = now
            self._asking = threading.Thread(target=self._ask_risk, name="at risk", daemon=True)
            self._asking.start()
        return self._at_risk_ore if self._at_risk_day == local_day(self._clock.now()) else 0

    def _ask_risk(self) -> None:
        """On a connection of its own: the till's thread may be asking something else meanwhile."""
        client = KeeperClient(self._node, self._deadline_s)
        try:
            self._asked(client, AskRisk())
        except NeighboursAwayError:
            pass  # as last heard
        finally:
            client.close()

    def close(self) -> None:
        """Let the connection go."""
        if self._asking is not None:
            self._asking.join(self._deadline_s + 1)
        self._client.close()

    def parked(self) -> Sequence[Parked]:
        told = self.ask(AskParked())
        self._gone = [(gone.sale, Elsewhere(gone.till, gone.epoch, 0)) for gone in told.gone]
        found = [
            Parked(
                Elsewhere(basket.till, basket.epoch, basket.sale),
                basket.since,
                basket.lines,
                basket.total_ore,
                basket.by,
            )
            for basket in told.parked or ()
            if (basket.till, basket.epoch) != (self._till, self._epoch)
        ]
        return sorted(found, key=lambda parked: parked.since)

    def gone(self) -> Sequence[tuple[int, Elsewhere]]:
        return self._gone

    def take(self, at: Elsewhere) -> Sequence[Body]:
        told = self.ask(AskTake(at.till, at.epoch, at.sale))
        if told.refused is not None:
            raise _taken(told.refused, at.till)
        return _bodies(told.entries or ())

    def resume(self, sale: int) -> None:
        told = self.ask(AskResume(sale))
        if told.refused is not None and told.refused.why == "taken":
            raise _taken(told.refused, self._node.name)

    def hold(self, original: Original) -> Mapping[int, Came]:
        told = self.ask(AskHold(original.till, original.epoch, original.number))
        if told.refused is not None and told.refused.why == "held":
            raise HeldElsewhereError(till=told.refused.by)
        if told.came is None:
            raise NeighboursAwayError  # the node does not know the receipt: nobody knows what came back of it
        self._paid = (original, told.paid)
        return {came.line: Came(came.quantity_milli, came.amount_ore, came.net_ore) for came in told.came}

    def spend(self, voucher: str) -> None:
        told = self.ask(AskSpend(voucher))
        if told.refused is not None and told.refused.why == "spent":
            raise VoucherUsedError(till=told.refused.by)
        if not told.granted:
            raise NeighboursAwayError  # a node that knows nothing of vouchers

    def paid(self, original: Original) -> Sequence[ReceiptTender]:
        return self._paid[1] if self._paid is not None and self._paid[0] == original else ()

    # --- behind the calls

    def ask(self, ask: Ask) -> Told:
        """One question and its answer. Raises NeighboursAwayError for anything but the node's own word."""
        if self._away():
            raise NeighboursAwayError
        return self._asked(self._client, ask)

    def _asked(self, client: KeeperClient, ask: Ask) -> Told:
        nonce = secrets.token_hex(16)
        lane = Lane(self._till, self._epoch, utc_text(self._clock.now()), nonce, ask)
        try:
            signed = client.lane(sign(lane, self._signer))
        except KeeperAwayError as error:
            LOG.info("%s", error)
            raise NeighboursAwayError from None
        except OppetError as error:
            LOG.warning("%s", error)
            raise NeighboursAwayError from None
        try:
            told = msgspec.json.decode(signed.text, type=Told)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            told = Told("")
        if not check(signed, bytes.fromhex(self._node.public_key)) or told.nonce != nonce:
            LOG.warning("an answer in the name of %s is not its own, or answers another question", self._node.name)
            raise NeighboursAwayError
        if told.at_risk_ore is not None:
            self._at_risk_day, self._at_risk_ore = local_day(self._clock.now()), max(0, told.at_risk_ore)
        return told


def _taken(refused: Refused, otherwise: str) -> TakenElsewhereError:
    return TakenElsewhereError(till=refused.by or otherwise, epoch=refused.epoch)


def _bodies(entries: Sequence[str]) -> list[Body]:
    """What the entries say. Raises NotMovableError for what this version cannot read."""
    if len(entries) > MOST_ENTRIES:
        raise NotMovableError(why=N_("its entries do not belong together"))
    bodies = []
    try:
        for entry in entries:
            body = body_of(parse(entry.encode()))
            if body is not None:
                bodies.append(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise NotMovableError(why=N_("its entries do not belong together")) from None
    return bodies
