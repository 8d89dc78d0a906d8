"""Payments of the made-up chain: ways of paying on one day, one till's card terminal gone, files of an acquirer and of Swish."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from oppet.base.clock import parse_utc, utc_text
from oppet.drivers.shelf_pg import stream_id_of
from oppet.hq.web_payments import settle_file
from tests.hq.demo_sales import NOW, STORES, TODAY, Place

__all__ = ["pay"]

CARD_HEAD = "poi_transaction,acquirer_transaction,original,time,type,sign,amount_ore,card_last4,approval,offline,status,terminal,batch"
SWISH_HEAD = "time,type,sign,amount_ore,currency,reference,instruction,merchant_reference,original,payee,message,payer,payer_name,report"
PATHS = (("card-1", "card"), ("swish", "swish"))
MINUTE = 60_000


def pay(place: Place, seed: int = 7) -> None:
    """Ways of paying and tenders of today, and of what there was until noon the files: not quite the same."""
    rng = Random(seed)
    cards, swishes = [CARD_HEAD], [SWISH_HEAD]
    with psycopg.connect(place.dsn) as connection:
        for store, _, banner, tills, _ in STORES:
            for number in range(1, tills + 1):
                till = f"{store}-K{number}"
                _paths(connection, store, till, banner)
                for sale in range(1, 30):
                    at = parse_utc(f"{TODAY}T07:00:00.000Z") + sale * 12 * MINUTE + rng.randrange(MINUTE)
                    path, means = PATHS[rng.random() < 0.35]
                    ore = rng.randrange(2_000, 90_000)
                    state = _state(till, sale)
                    if at > NOW - 5 * MINUTE and state != "unknown":
                        continue
                    name = f"{till}.{sale:04d}"
                    _tender(connection, store, till, sale, at, path, means, ore, state, name)
                    if at < NOW - 90 * MINUTE and state in ("approved", "accepted_at_risk"):
                        told = ore + 10_000 if name == "S09-K1.0009" else ore
                        if name not in ("S06-K2.0007", "S06-K2.0008"):
                            _file(cards if means == "card" else swishes, name, utc_text(at), told, means)
    cards.append(f"T-9-EXTRA,A-EXTRA,,{TODAY}T09:14:00.000Z,payment,+,24900,0028,771203,0,settled,P400-S09-1,31")
    with tempfile.TemporaryDirectory() as folder:
        for name, lines in (("settlement-20261120-0031.csv", cards), ("swish-report-20261120-0012.csv", swishes)):
            (Path(folder) / name).write_text("\n".join([*lines, ""]))
            settle_file(place.context, Path(folder) / name)


def _state(till: str, sale: int) -> str:
    if (till, sale) in {("S01-K1", 21), ("S09-K2", 14)}:
        return "unknown"
    if till.startswith("S01") and sale > 18:
        return "accepted_at_risk"
    return "declined" if sale % 11 == 0 else "approved"


def _paths(connection: psycopg.Connection[Any], store: str, till: str, banner: str) -> None:
    for path, means in PATHS:
        state, why, since = "working", "", f"{TODAY}T06:{10 + len(till):02d}:00.000Z"
        if store == "S01":
            state, why, since = "down", "silent", f"{TODAY}T12:05:00.000Z"
        elif banner == "Torget" and means == "card" and till.endswith("K2"):
            state, why, since = "slow", "slow", f"{TODAY}T13:21:00.000Z"
        connection.execute(
            "INSERT INTO path_state VALUES (%s, %s, %s, %s, %s, %s, %s, 1)",
            (store, stream_id_of(till, 1, ""), path, means, state, why, since),
        )


def _tender(
    connection: psycopg.Connection[Any], store: str, till: str, sale: int, at: int, path: str, means: str, ore: int, state: str, name: str
) -> None:  # fmt: skip
    risky = state == "accepted_at_risk"
    paid = risky or state == "approved"
    connection.execute(
        "INSERT INTO asked_tender (store_id, stream_id, sale, tender, day, asked, first_seq, means, path, request, amount_ore, back, "
        "offline, state, changed, last_seq, why, approved_ore, risky, counted, reference, approval, card) VALUES "
        "(%s, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s, false, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (store, stream_id_of(till, 1, ""), sale, TODAY, utc_text(at), sale * 20, means, path, f"R{name}", ore,
         risky, state, utc_text(at + 9_000), sale * 20 + 4, "silent" if state == "unknown" else "", ore if paid else 0, risky, paid,
         f"T{name}" if paid else "", "104233" if paid else "", "0010" if means == "card" and paid else ""),
    )  # fmt: skip


def _file(lines: list[str], name: str, time: str, ore: int, means: str) -> None:
    if means == "card":
        lines.append(f"T{name},A{name},,{time},payment,+,{ore},0010,104233,0,settled,P400-{name[:6]},31")
    else:
        lines.append(f"{time[:-1]}+0000,payment,+,{ore},SEK,T{name},R{name},,,1231181189,,46701234567,Kund,12")
