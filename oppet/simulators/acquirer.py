"""A card acquirer: `python -m oppet.simulators.acquirer --state FILE --settlements FOLDER`.

Terminals (`terminal.py`) ask it for online approvals and hand in what they approved alone; a chain's head office reads the settlement
files it writes. It answers every question once: the same terminal's same transaction again gives the first answer again. Its book is an
append-only file, flushed before it answers (unless --fast), so it may be killed at any moment. Imports nothing of ours but this room.

**Questions** (POST, JSON; all amounts in öre). `terminal` and `transaction` name a transaction; `poi_transaction` is how the till knows it.
  /authorise {terminal, transaction, amount_ore, number, entry}
             → {result: approved|partial|declined|invalid, amount_ore, acquirer, approval, poi_transaction}
  /refund    the same, the money going the other way
  /reverse   {terminal, transaction, poi_transaction, amount_ore} → {result: reversed|declined|not_found, acquirer}
  /undo      {terminal, transaction}: the terminal never told anybody of this one, so it shall not have been (→ {result: undone})
  /batch     {terminal, approvals: [{transaction, poi_transaction, amount_ore, number, approval, time}]} → {result: taken}
  /health    → {result: ok}

**Settlement files**: one CSV (UTF-8, comma, a header line) per batch, `settlement-YYYYMMDD-NNNN.csv`, written under another name and then
renamed, so what has its name is whole. One row per movement that was not in an earlier file:
  poi_transaction      POITransactionID.TransactionID as the terminal said it to the till; of a reversal or refund: its own
  acquirer_transaction the acquirer's own id
  original             of a reversal: the poi_transaction that it reverses; else empty
  time                 UTC, as 2026-11-22T10:00:00.000Z
  type                 payment | refund | reversal
  sign                 + money to the shop, - money from it
  amount_ore           whole öre, never negative
  card_last4           the last four digits
  approval             the approval code
  offline              1 for what a terminal approved alone
  status               settled | refused (refused: an offline approval that the card's bank does not pay)
  terminal             the terminal's POIID
  batch                the file's number
A payment that was reversed before its first file stands in none, nor does its reversal: no money moved.

**Control** (same port; POST /control with any of these, GET /control/state for what it remembers):
  {"mode": "ok" | "slow" | "away", "seconds": 30}   slow: each answer takes so long; away: no answer, the connection is torn
  {"settle": true}                                  write the next file now
  {"settle_every_s": 60}                            and then by itself, 0 for never
  {"extra": {"amount_ore": 12300, "card_last4": "0010", "terminal": "…"}}   a charge nobody made, in the next file
  {"leave_out": 1} or {"leave_out": "POI transaction"}   so many payments, or that one, are missing from the next file and all later ones
  {"refuse_offline": 1}                             so many of the next offline approvals are refused
  {"decline": 1}                                    so many of the next questions are declined
  {"limit_ore": 2000000}                            above it, an authorisation is declined
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import fcntl
import io
import json
import os
import secrets
import sys
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oppet.simulators.nexo import CARDS
from oppet.simulators.web import Reply, Request, Server, json_reply

__all__ = ["COLUMNS", "Bank", "main"]

COLUMNS = (
    "poi_transaction", "acquirer_transaction", "original", "time", "type", "sign", "amount_ore", "card_last4", "approval", "offline",
    "status", "terminal", "batch",
)  # fmt: skip
LIMIT_ORE = 2_000_000
LOW_ORE = 10_000  # what is left on the card that is low
TAIL = 100  # movements listed by GET /control/state
MODES = ("ok", "slow", "away")
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(slots=True)
class Movement:
    """One transaction as the acquirer knows it."""

    terminal: str
    transaction: str
    kind: str  # payment | refund | reversal
    result: str  # approved | partial | declined | invalid | reversed | not_found
    amount_ore: int
    acquirer: str = ""
    approval: str = ""
    last4: str = ""
    poi: str = ""
    time: str = ""
    original: str = ""
    offline: bool = False
    refused: bool = False  # an offline approval that the card's bank does not pay
    undone: bool = False  # the terminal took it back itself, or it was reversed
    left_out: bool = False
    batch: int = 0  # the file it stands in

    @property
    def counts(self) -> bool:
        """Whether money moves for it."""
        return self.result in ("approved", "partial", "reversed") and not self.undone


class Bank:
    """The acquirer's book and its decisions; every change is one line of its file. Knows nothing of sockets."""

    def __init__(self, path: Path | None = None, *, fast: bool = False) -> None:
        self.movements: dict[tuple[str, str], Movement] = {}
        self.by_poi: dict[str, Movement] = {}
        self.batch = 0
        self.limit_ore = LIMIT_ORE
        self.wishes: dict[str, Any] = {"refuse_offline": 0, "decline": 0, "leave_out": 0}
        self.extra: list[dict[str, Any]] = []
        self.asked = 0
        self._fast = fast
        self._file = -1
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"{path}: another simulator uses this book")
        whole, newline, torn = path.read_bytes().rpartition(b"\n")
        if torn:  # killed while writing: never answered
            os.ftruncate(self._file, len(whole) + len(newline))
        for line in filter(None, whole.split(b"\n")):
            self._remember(Movement(**json.loads(line)))

    def _write(self, *movements: Movement) -> None:
        for movement in movements:
            self._remember(movement)
        if self._file >= 0:
            os.write(self._file, b"".join(json.dumps(asdict(one)).encode() + b"\n" for one in movements))
            if not self._fast:
                os.fdatasync(self._file)

    def _remember(self, movement: Movement) -> None:
        self.movements[movement.terminal, movement.transaction] = movement
        self.batch = max(self.batch, movement.batch)
        if movement.poi:
            self.by_poi[movement.poi] = movement

    # --- questions

    def answer(self, path: str, said: dict[str, Any]) -> dict[str, Any]:
        """One question. Raises ValueError or KeyError for what is none."""
        self.asked += 1
        if path == "/health":
            return {"result": "ok"}
        key = str(said["terminal"])[:80], str(said.get("transaction", ""))[:80]
        if path == "/batch":
            return self._batch(key[0], said["approvals"])
        if path == "/undo":
            return self._undo(key)
        known = self.movements.get(key)
        if known is None:
            known = self._reverse(key, said) if path == "/reverse" else self._decide(path, key, said)
            self._write(known)
        return {
            "result": "declined" if known.undone and known.kind != "reversal" else known.result,
            "amount_ore": known.amount_ore, "acquirer": known.acquirer, "approval": known.approval, "poi_transaction": known.poi,
        }  # fmt: skip

    def _decide(self, path: str, key: tuple[str, str], said: dict[str, Any]) -> Movement:
        kind = {"/authorise": "payment", "/refund": "refund"}.get(path)
        if kind is None:
            raise ValueError(f"no such question: {path}")
        asked = _ore(said["amount_ore"])
        result, amount = self._verdict(str(said["number"]), asked, kind)
        good = result in ("approved", "partial")
        acquirer = _code(16)
        return Movement(
            *key, kind, result, amount if good else 0, acquirer, _code(6) if good else "", str(said["number"])[-4:],
            f"{key[1]}.{acquirer}", _now(),
        )  # fmt: skip

    def _verdict(self, number: str, amount_ore: int, kind: str) -> tuple[str, int]:
        name = next((card.name for card in CARDS.values() if card.number == number), "unknown")
        if name == "unknown":
            return "invalid", 0
        if self._take("decline") or name == "declined" or amount_ore > self.limit_ore:
            return "declined", 0
        if name == "low" and kind == "payment" and amount_ore > LOW_ORE:
            return "partial", LOW_ORE
        return "approved", amount_ore

    def _reverse(self, key: tuple[str, str], said: dict[str, Any]) -> Movement:
        poi = str(said["poi_transaction"])[:80]
        of = self.by_poi.get(poi)
        made = Movement(*key, "reversal", "not_found", 0, _code(16), time=_now(), original=poi)
        made.poi = f"{key[1]}.{made.acquirer}C"
        if of is None or of.kind == "reversal":
            return made
        again = next((one for one in self.movements.values() if one.original == poi and one.result == "reversed"), None)
        if again is not None:  # a payment is reversed once, however often that is asked for
            made.result, made.amount_ore, made.acquirer, made.undone = (
                "reversed",
                again.amount_ore,
                again.acquirer,
                True,
            )
            return made
        wanted = _ore(said.get("amount_ore") or of.amount_ore)
        made.last4 = of.last4
        if not of.counts or wanted != of.amount_ore or self._take("decline"):
            made.result = "declined"
            return made
        made.result, made.amount_ore, made.approval = "reversed", of.amount_ore, _code(6)
        of.undone = True
        if not of.batch:
            made.undone = True  # neither stands in any file
        self._write(of)
        return made

    def _undo(self, key: tuple[str, str]) -> dict[str, Any]:
        known = self.movements.get(key) or Movement(*key, "payment", "declined", 0, time=_now())
        if known.batch and not known.undone:  # it stands in a file already: its reversal follows in the next
            self._write(self._reverse((key[0], f"{key[1]}/undo"), {"poi_transaction": known.poi}))
        elif not known.undone:
            known.undone = True
            self._write(known)
        return {"result": "undone"}

    def _batch(self, terminal: str, approvals: list[dict[str, Any]]) -> dict[str, Any]:
        new = []
        for one in approvals[:1000]:
            transaction = str(one["transaction"])[:80]
            if (terminal, transaction) in self.movements:
                continue
            number = str(one["number"])
            refused = self._take("refuse_offline") or number in (CARDS["declined"].number, CARDS["unknown"].number)
            new.append(
                Movement(
                    terminal, transaction, "payment", "approved", _ore(one["amount_ore"]), _code(16), str(one["approval"])[:12],
                    number[-4:], str(one["poi_transaction"])[:80], str(one["time"])[:30], offline=True, refused=refused,
                )
            )  # fmt: skip
        self._write(*new)
        return {"result": "taken"}

    def _take(self, wish: str) -> bool:
        if isinstance(self.wishes[wish], int) and self.wishes[wish] > 0:
            self.wishes[wish] -= 1
            return True
        return False

    # --- settlement

    def settle(self) -> tuple[str, bytes]:
        """The next file: its name, and what stands in it. Everything in it is marked as settled before it is given."""
        self.batch += 1
        rows, marked = [], []
        for one in self.movements.values():
            # a payment that was reversed after it stood in a file stays there; its reversal follows
            if one.batch or one.left_out or not one.counts:
                continue
            one.left_out = self._leave_out(one)
            one.batch = self.batch
            marked.append(one)
            if not one.left_out:
                rows.append(self._row(one))
        for wish in self.extra:
            one = Movement(
                str(wish.get("terminal", "")), _code(8), "payment", "approved", _ore(wish["amount_ore"]), _code(16), _code(6),
                str(wish.get("card_last4", ""))[-4:], time=_now(), batch=self.batch,
            )  # fmt: skip
            one.poi = f"{one.transaction}.{one.acquirer}"
            marked.append(one)
            rows.append(self._row(one))
        self.extra = []
        self._write(*marked)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
        return f"settlement-{datetime.now(UTC):%Y%m%d}-{self.batch:04d}.csv", text.getvalue().encode()

    def _leave_out(self, one: Movement) -> bool:
        if one.kind != "payment":
            return False
        if self.wishes["leave_out"] == one.poi:
            self.wishes["leave_out"] = 0
            return True
        return self._take("leave_out")

    def _row(self, one: Movement) -> tuple[object, ...]:
        return (
            one.poi, one.acquirer, one.original, one.time, one.kind, "+" if one.kind == "payment" else "-", one.amount_ore, one.last4,
            one.approval, int(one.offline), "refused" if one.refused else "settled", one.terminal, self.batch,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """What a test compares with the tills' journals."""
        moved = [one for one in self.movements.values() if one.counts and not one.refused]
        charged, back = (sum(one.amount_ore for one in moved if one.kind == kind) for kind in ("payment", "refund"))
        names = [field.name for field in fields(Movement)]
        return {
            "asked": self.asked,
            "count": len(self.movements),
            "net_ore": charged - back,  # a payment that was reversed is not among the charged
            "batch": self.batch,
            "movements": [
                {name: getattr(one, name) for name in names} for one in list(self.movements.values())[-TAIL:]
            ],
        }


def _ore(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 10**11:
        raise ValueError("an amount is whole öre, and more than nothing")
    return value


def _code(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Acquirer:
    """The book behind its port, and how it behaves."""

    def __init__(self, bank: Bank, folder: Path, settle_every_s: float) -> None:
        self.bank = bank
        self.folder = folder
        self.mode = "ok"
        self.seconds = 30.0
        self.settle_every_s = settle_every_s
        self.files: list[str] = []
        self.most_at_once = 0
        self._at_once = 0

    async def serve(self, request: Request) -> Reply | None:
        try:
            if request.path == "/control" and request.method == "POST":
                return json_reply(self.control(json.loads(request.body)))
            if request.path == "/control/state":
                return json_reply(self.state())
            return await self._answer(request)
        except (ValueError, KeyError, TypeError, OSError) as error:
            return json_reply({"error": repr(error)[:200]}, 400)

    async def _answer(self, request: Request) -> Reply | None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.mode == "away":
                return None
            if self.mode == "slow":
                await asyncio.sleep(self.seconds)
            said = json.loads(request.body) if request.body else {}
            return json_reply(self.bank.answer(request.path, said))
        finally:
            self._at_once -= 1

    def control(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Do what is wished; ValueError for what cannot be."""
        known = {
            "mode",
            "seconds",
            "settle",
            "settle_every_s",
            "extra",
            "leave_out",
            "refuse_offline",
            "decline",
            "limit_ore",
        }
        if unknown := set(wish) - known:
            raise ValueError(f"this acquirer cannot be told {sorted(unknown)}; it knows {sorted(known)}")
        if "mode" in wish:
            if wish["mode"] not in MODES:
                raise ValueError(f"mode is one of {', '.join(MODES)}")
            self.mode = wish["mode"]
        self.seconds = float(wish.get("seconds", self.seconds))
        self.settle_every_s = float(wish.get("settle_every_s", self.settle_every_s))
        self.bank.limit_ore = int(wish.get("limit_ore", self.bank.limit_ore))
        for name in ("leave_out", "refuse_offline", "decline"):
            if name in wish:
                self.bank.wishes[name] = wish[name]
        if "extra" in wish:
            _ore(wish["extra"]["amount_ore"])
            self.bank.extra.append(wish["extra"])
        return {"file": self.settle()} if wish.get("settle") else {"mode": self.mode}

    def settle(self) -> str:
        """Write the next settlement file, whole or not at all, and give its path."""
        name, data = self.bank.settle()
        half = self.folder / f".{name}.half"
        half.write_bytes(data)
        half.rename(self.folder / name)
        self.files.append(name)
        return str(self.folder / name)

    async def settle_by_clock(self) -> None:
        while True:
            await asyncio.sleep(self.settle_every_s or 1.0)
            if self.settle_every_s and self._unsettled():
                self.settle()

    def _unsettled(self) -> bool:
        moved = any(one.counts and not one.batch for one in self.bank.movements.values())
        return moved or bool(self.bank.extra)

    def state(self) -> dict[str, Any]:
        more = {
            "mode": self.mode,
            "seconds": self.seconds,
            "files": self.files[-TAIL:],
            "most_at_once": self.most_at_once,
        }
        return self.bank.state() | more


async def run(options: argparse.Namespace) -> None:
    """Open everything, say so, and answer until killed."""
    options.settlements.mkdir(parents=True, exist_ok=True)
    bank = Bank(options.state, fast=options.fast)
    bank.limit_ore = options.limit_ore
    acquirer = Acquirer(bank, options.settlements, options.settle_every_s)
    server = Server(acquirer.serve)
    port = await server.open(options.port)
    said = {"ready": True, "port": port, "control_port": port, "settlements": str(options.settlements)}
    print(json.dumps(said), flush=True)
    await acquirer.settle_by_clock()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m oppet.simulators.acquirer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--state", type=Path, required=True, help="the acquirer's book; made when missing")
    parser.add_argument(
        "--settlements", type=Path, required=True, help="the folder for settlement files; made when missing"
    )
    parser.add_argument("--port", type=int, default=0, help="0 chooses one; the ready line says which")
    parser.add_argument("--settle-every-s", type=float, default=0.0, help="write a file so often; 0 only when told")
    parser.add_argument("--limit-ore", type=int, default=LIMIT_ORE, help="the most it authorises at once")
    parser.add_argument("--fast", action="store_true", help="do not wait for the disk")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
