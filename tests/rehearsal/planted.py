"""Bugs planted into the payments' source, one at a time, and the process that looks for each with `oppet rehearse`'s own runs.

A bug is a list of replacements in one module's source; each must fit exactly once, so a bug that no longer applies is an error and never
a pass. `python -m tests.rehearsal.planted MOST NAME…` looks for every named bug in a fork of its own, from seed 1 on, and prints what it
found as JSON; no name looks for all.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module

from tests.sim.planted import Bug, plant

__all__ = ["BUGS"]

TABLE, STEPS, TENDERS, STATE = (
    "oppet.payments.tender", "oppet.payments.steps", "oppet.register.tenders", "oppet.register.state",
)  # fmt: skip

BUGS: dict[str, Bug] = {
    "retried under a new reference": Bug(
        TENDERS,
        (
            (
                "request = (attempt.reversal if what == REVERSAL else attempt.request) if repeat else self._next_request(path)",
                "request = self._next_request(path)",
            ),
        ),
        "3",
    ),
    "a service that is still at work has not found it": Bug(
        TABLE, (("(UNKNOWN, STATUS, IN_PROGRESS): UNKNOWN,", "(UNKNOWN, STATUS, IN_PROGRESS): DECLINED,"),), "3"
    ),
    "silence is read as declined": Bug(
        TABLE, (("    (ASKED, PAYMENT, SILENT): UNKNOWN,", "    (ASKED, PAYMENT, SILENT): DECLINED,"),), "3"
    ),
    "the abort's answer is believed": Bug(
        TABLE, (("(ABORTING, ABORT, APPROVED): ABORTING,", "(ABORTING, ABORT, APPROVED): DECLINED,"),), "3"
    ),
    "a late answer of an earlier exchange is believed": Bug(
        TENDERS, (("(answer.what, answer.request) != (attempt.live_what, attempt.live):", "answer.sale < 0:"),), "3"
    ),
    "the amount is not checked": Bug(
        TENDERS,
        (
            (" or amount_ore > attempt.amount_ore:", ":"),
            ("        return amount_ore <= left_to_pay(basket, self._desk.priced(basket))\n", "        return True\n"),
        ),
        "3",
    ),
    "a reversal is never sent": Bug(STEPS, (("if attempt.unwanted and not attempt.back:", "if attempt.case:"),), "3"),
    "a reversal is sent twice": Bug(
        TABLE, (("(REVERSING, REVERSAL, SILENT): REVERSAL_UNKNOWN,", "(REVERSING, REVERSAL, SILENT): APPROVED,"),), "3"
    ),
    "what is unknown counts as paid": Bug(
        "oppet.sale.settle",
        (
            (
                "return max(0, priced.total_ore - basket.paid_ore())",
                "return max(0, priced.total_ore - basket.paid_ore() - sum(one.amount_ore for one in basket.pending()))",
            ),
        ),
        "03",
    ),
    "a terminal with an open payment takes another": Bug(
        TENDERS, (("if path.exclusive and one.path == path.name and not one.case:", "if path.by_hand and one.path == path.name:"),), "3"
    ),
    "a tender is taken twice": Bug(TENDERS, (("return (taken,)", "return (taken, taken)"),), "3"),
    "a restart forgets what was under way": Bug(
        TENDERS,
        (
            ("if one.live and not self._by_hand(one)  #", "if one.case  #"),
            ("if sent is None or now - sent > steps.OVERDUE_MS:", "if sent is not None and now - sent > steps.OVERDUE_MS:"),
        ),
        "3",
    ),
    "what is taken at risk is not marked": Bug(TENDERS, (("at_risk=after == AT_RISK,", "at_risk=False,"),), "3"),
    "what is taken at risk is not counted": Bug(
        STATE, (("self.risk = self.risk.add(local_day(parse_utc(time)), body.amount_ore)", "pass"),), "3", quick=False
    ),
    "sent before it is durable": Bug(
        TENDERS,
        (
            (
                "        desk.write(*before, sent)\n",
                ("        path.send(Work(sent.what, sent.sale, sent.tender, sent.request, sent.amount_ore, 0))\n"
                "        desk.write(*before, sent)\n"),
            ),
        ),
        "3",
    ),
    "queries never slow down": Bug(
        STEPS, (("base = QUERY_MS[min(attempt.queries, len(QUERY_MS) - 1)]", "base = QUERY_MS[0]"),), "3"
    ),
    "a basket that is gone keeps its money": Bug(STATE, (("one.returning = one.taken", "one.returning = False"),), "3", quick=False),
    "a refund that comes too late closes its terminal": Bug(
        TABLE, (("(self.back or (self.taken and not self.returning))", "(self.taken and not self.returning)"),), "3"
    ),
    "a reversal's query counts its time from the payment": Bug(
        TABLE, (("if body.what in (PAYMENT, REFUND, REVERSAL):", "if body.what in (PAYMENT, REFUND):"),), "3", quick=False
    ),
    "a customer is asked again for a sale that is paid": Bug(
        TENDERS, (("if what in (PAYMENT, REFUND) and not self._still_wanted(attempt):", "if attempt.case:"),), "3"
    ),
    "a restart takes the cashier's word away": Bug(
        TENDERS, (("if one.live and not self._by_hand(one)  #", "if one.live  #"),), "3", quick=False
    ),
}  # fmt: skip


def look(name: str, most: int) -> dict[str, object]:
    """Plant the bug, then run seeds until a law breaks."""
    if name in BUGS:
        plant(BUGS[name])
    world = import_module("oppet.rehearsal.world")
    began, tenders = time.process_time(), 0
    for seed in range(1, most + 1):
        result = world.run(seed)
        tenders += result.tenders
        if result.broken:
            law = result.broken[0]
            spent = round(time.process_time() - began, 2)
            return {"seed": seed, "law": law.law, "what": law.what, "tenders": tenders, "cpu_s": spent}
    return {"seed": None, "tenders": tenders, "cpu_s": round(time.process_time() - began, 2)}


def main() -> None:
    """Look for each in a fork: what one bug has imported, no other sees."""
    most, names = int(sys.argv[1]), sys.argv[2:] or list(BUGS)
    found: dict[str, object] = {}
    for name in names:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            with os.fdopen(writing, "w") as out:
                json.dump(look(name, most), out)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as came:
            said = came.read()
        os.waitpid(child, 0)
        found[name] = json.loads(said) if said else {"failed": "it does not fit, or it did not start"}
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
