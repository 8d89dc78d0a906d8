"""`oppet demo`: head office, two stores with two tills each, all real processes; kill any of them and watch the pages.

Only the control units, the card terminals, the acquirer and Swish are simulators, and say so; the line to what is outside a store has a
switch (`wan.py`). What was sold stays in the folder until that is removed.
"""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from oppet.demo.chain import PASSPHRASE, STAFF, Chain, Store, TillPlan, outside, stores
from oppet.demo.signers import PUBLISHERS
from oppet.demo.wan import OUTSIDE
from oppet.demo.watch import AWAY_S, Watched, watch
from oppet.drivers import files
from oppet.people.roles import DEMO_NUMBER

__all__ = ["begin", "demo"]

HQ_FIRST = 2  # head office's own ports, before the stores'
SETTLE_S = 30  # between two settlement files of the acquirer's, and two reports of Swish's


def begin(chain: Chain, ports: tuple[int, int], stack: ExitStack) -> list[Watched]:
    """Start everything, enrolling what is not yet enrolled; `stack` ends it all."""
    running: list[Watched] = []

    def add(name: str, process: Watched) -> Watched:
        stack.callback(process.end)
        running.append(process)
        print(f"  {name}: process {process.helper.pid}", flush=True)
        return process

    if chain.beyond is not None:
        add("the line out", Watched("the line out", chain.line(ports[0])))
        add("card acquirer", Watched("card acquirer", chain.acquirer("--settle-every-s", str(SETTLE_S))))
        add("Swish", Watched("Swish", chain.swish("--report-every-s", str(SETTLE_S))))
        add("signing desk", Watched("signing desk", chain.desk()))
        chain.write_links(ports[1])
    chain.write_hq(*ports)
    add("head office", Watched("head office", chain.hq()))
    if not any(map(chain.is_enrolled, chain.stores)):
        chain.let_in()
    for process in running:  # a store comes to head office over the line, and its node reads Swish's papers
        assert process.helper.said["ready"]
    for store in chain.stores:
        _open_store(chain, store, f"https://{OUTSIDE if chain.beyond else '127.0.0.1'}:{ports[0]}", add)
    return running


def _open_store(chain: Chain, store: Store, hq: str, add: object) -> None:
    assert callable(add)
    chain.write_store(store)
    if not chain.is_enrolled(store):
        chain.enrol_store(store, hq)
    add(f"{store.id} {store.name}, control unit", Watched(f"{store.id} control unit", chain.unit_of_store(store)))
    add(f"{store.id} {store.name}, store node", Watched(f"{store.id} store node", chain.node(store)))
    chain.write_neighbour(store)
    if not chain.has_neighbour(store):
        chain.enrol_neighbour(store)
        chain.countersign(f"{store.id}-node")
    add(f"{store.id} {store.name}, keeper at K2", Watched(f"{store.id} keeper at K2", chain.neighbour(store)))
    for plan in store.tills:
        if chain.beyond is not None:
            add(f"{plan.name}, card terminal", Watched(f"{plan.name} card terminal", chain.terminal(plan)))
        chain.write_till(store, plan)
        add(f"{plan.name}, control unit", Watched(f"{plan.name} control unit", chain.unit_of_till(store, plan)))
        if not chain.has_papers(store, plan):
            chain.enrol_till(store, plan)
            chain.countersign(plan.name)
        if chain.beyond is not None:
            if not chain.signers.made:
                chain.sign_the_first(store, plan)
            chain.write_till(store, plan)  # again: now there are roots to be installed with
            chain.install(store, plan)
        add(f"{plan.name}, till", Watched(f"{plan.name} till", chain.till(store, plan)))


def demo(*, port: int = 8300, folder: Path = Path("var/demo"), browser: bool = True) -> int:
    """Open a chain: head office, two stores, two tills each, real goods; control units, terminals, acquirer and Swish are simulated.

    Parameters
    ----------
    port
        Head office's page; the ports behind it are the stores' and the tills', on this machine alone.
    folder
        Where the demo keeps its journals; remove it to begin anew.
    browser
        Whether to open the browser.
    """
    began = time.monotonic()
    ports: Iterator[int] = count(port)
    page, keeper = next(ports), next(ports)
    plans = stores(ports)
    beyond = outside(ports, plans)
    chain = Chain(files.folder(folder.resolve()), plans, beyond)
    print("Starting a chain; every line is a process that you may kill:\n", flush=True)
    with ExitStack() as stack:
        running = begin(chain, (keeper, page), stack)
        print(f"\n  Open after {time.monotonic() - began:.0f} s.\n")
        print(f"    head office      http://localhost:{page}/   (demo account, no key)")
        print(f"    the line out     http://127.0.0.1:{beyond.page}/   a switch: cut it, and the stores sell on")
        print(f"    signing desk     http://127.0.0.1:{beyond.desk}/   a new release, and thieves with stolen keys")
        print(f"    customer's Swish http://127.0.0.1:{beyond.swish_page}/")
        for store in chain.stores:
            print(f"    {store.id} {store.name:<12} http://127.0.0.1:{store.page_port}/   the manager's pages")
            for plan in store.tills:
                print(
                    f"      {plan.name:<12}   {_where(plan)}   terminal http://127.0.0.1:{beyond.terminals[plan.name][1]}/"
                )
        for number, role, pin in STAFF:
            print(f"\n    {role:<11} number {number}  PIN {pin}", end="")
        print(f"\n\n    the managers' passphrase, for a new till: {PASSPHRASE}", end="")
        print(f"\n    to sign prices at head office: {PUBLISHERS[DEMO_NUMBER]}", end="")
        print(
            f"\n\n  Kill any process above (kill -9 NUMBER): the tills sell on, and it comes back after {AWAY_S:.0f} s."
        )
        print("  Stop with Ctrl-C.\n", flush=True)
        if browser:
            webbrowser.open(f"http://localhost:{page}/")
        watch(running)
    return 0


def _where(plan: TillPlan) -> str:
    return "a robot cashier sells here" if plan.robot else f"http://127.0.0.1:{plan.port}/"
