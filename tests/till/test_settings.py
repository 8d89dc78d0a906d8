"""Settings and staff lists of nonsense are refused, and the place is named."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.register.errors import SettingsError
from oppet.sale.staff import read_staff
from oppet.till.settings import NexoSettings, read_settings

GOOD: dict[str, Any] = {
    "till": "K3",
    "store": "S01",
    "company": "Testköp ekonomisk förening",
    "org_no": "5566778899",
    "address": "Storgatan 1, 652 24 Karlstad",
    "register": "K3",
    "manufacturing_no": "OPPET-K3",
    "folder": "var",
    "assortment": ["goods.json"],
    "staff": "staff.json",
    "units": [
        {"protocol": "skattedosan", "unit": "SD1", "device": "/dev/ttyUSB0"},
        {"protocol": "xccsp", "unit": "CC1", "host": "unit"},
    ],
    "printers": [{"kind": "network", "name": "kvitto", "host": "printer"}, {"kind": "screen", "name": "skärm"}],
    "rules": {"limits": {"void_ore": 10_000}},
}
NEXO = {
    "kind": "nexo",
    "name": "card-1",
    "host": "192.168.1.40",
    "poi": "P400Plus-275102806",
    "key_id": "shop",
    "key_version": 1,
    "passphrase_file": "terminal.passphrase",
    "tls_pin": "ab" * 32,
}
SWISH = {"kind": "swish", "name": "swish"}
ALONE = {"kind": "swish_alone", "name": "swish-alone", "payee": "1231181189"}
MEMBER = {"number": 7, "role": "cashier", "pin": "$argon2id$x", "badge": ""}


def changed(**more: Any) -> bytes:
    return json.dumps(GOOD | more).encode()


def test_t8_good_settings_are_read() -> None:
    settings = read_settings(changed(), "till.json")
    assert (settings.till, settings.units[1].port, settings.printers[0].port, settings.rules.limits.void_ore) == (
        "K3", 8081, 9100, 10_000,
    )  # fmt: skip
    assert settings.rules.limits.discount_percent == 10


def test_t8_ways_of_paying_are_read_in_their_order() -> None:
    settings = read_settings(changed(payments=[NEXO, SWISH, ALONE, {"kind": "gift_card", "name": "gift"}]), "till.json")
    assert [path.name for path in settings.payments] == ["card-1", "swish", "swish-alone", "gift"]
    terminal = settings.payments[0]
    assert isinstance(terminal, NexoSettings)
    assert (terminal.port, terminal.path, terminal.offline) == (8443, "/nexo", True)
    assert read_settings(changed(), "till.json").payments == ()


BAD: list[tuple[str, bytes, str]] = [
    ("no file at all", b"", "till.json"),
    ("not JSON", b"{", "till.json"),
    ("not UTF-8", b"\xff\xfe{}", "till.json"),
    ("a list", b"[]", "till.json"),
    ("nothing", b"{}", "till"),
    ("deep", b"[" * 100_000, "till.json"),
    ("a bad till", changed(till="K 3"), "till"),
    ("a till of newlines", changed(till="K3\n"), "till"),
    ("a long till", changed(till="K" * 17), "till"),
    ("no company", changed(company=""), "company"),
    ("control characters", changed(company="Test\x1b@"), "company"),
    ("nine digits", changed(org_no="556677889"), "org_no"),
    ("a hyphen in the number", changed(org_no="556677-8899"), "org_no"),
    ("a manufacturing number with two spaces", changed(manufacturing_no="OPPET  K3"), "manufacturing_no"),
    ("a manufacturing number of 49", changed(manufacturing_no="O" * 49), "manufacturing_no"),
    ("no units", changed(units=[]), "units"),
    ("five units", changed(units=[GOOD["units"][0] | {"unit": f"U{n}"} for n in range(5)]), "units"),
    ("a strange protocol", changed(units=[GOOD["units"][0] | {"protocol": "telex"}]), "units"),
    ("a unit without a device", changed(units=[{"protocol": "skattedosan", "unit": "SD1"}]), "device"),
    ("a unit without a host", changed(units=[{"protocol": "xccsp", "unit": "CC1"}]), "host"),
    ("the same unit twice", changed(units=[GOOD["units"][0]] * 2), "two units"),
    ("a port of nonsense", changed(units=[GOOD["units"][1] | {"port": 65_536}]), "units"),
    ("no printer", changed(printers=[]), "printers"),
    ("a printer without a host", changed(printers=[{"kind": "network", "name": "kvitto"}]), "host"),
    ("a printer without a device", changed(printers=[{"kind": "serial", "name": "kvitto"}]), "device"),
    ("two printers of a name", changed(printers=[GOOD["printers"][1]] * 2), "two printers"),
    ("a narrow roll", changed(printers=[GOOD["printers"][1] | {"columns": 10}]), "printers"),
    ("a language nobody speaks", changed(language="xx"), "language"),
    ("a key nobody knows", changed(manual_sale=True), "manual_sale"),
    ("a limit of text", changed(rules={"limits": {"void_ore": "much"}}), "void_ore"),
    ("a limit below nothing", changed(rules={"limits": {"void_ore": -1}}), "void_ore"),
    ("a discount limit above all", changed(rules={"limits": {"discount_percent": 101}}), "discount_percent"),
    ("a rule nobody knows", changed(rules={"disk_least": 1}), "disk_least"),
    ("a limit nobody knows", changed(rules={"limits": {"void": 1}}), "void"),
    ("no room asked for on the disk", changed(rules={"disk_least_mb": -1}), "disk_least_mb"),
    ("a snapshot for each entry", changed(rules={"views_every": 0}), "views_every"),
    ("a way of paying nobody knows", changed(payments=[{"kind": "cheque", "name": "c"}]), "payments[0].kind"),
    ("a way of paying without a kind", changed(payments=[{"name": "c"}]), "payments[0]"),
    ("a path's name with capitals", changed(payments=[SWISH | {"name": "Swish 1"}]), "payments[0].name"),
    ("a terminal without a host", changed(payments=[{k: v for k, v in NEXO.items() if k != "host"}]), "host"),
    (
        "a terminal without its passphrase",
        changed(payments=[{k: v for k, v in NEXO.items() if k != "passphrase_file"}]),
        "passphrase_file",
    ),
    ("a passphrase in the settings", changed(payments=[NEXO | {"passphrase": "secret"}]), "passphrase"),
    ("a terminal that anybody could be", changed(payments=[NEXO | {"tls_pin": ""}]), "payments[0].tls_pin"),
    ("a terminal without a pin", changed(payments=[{k: v for k, v in NEXO.items() if k != "tls_pin"}]), "tls_pin"),
    ("a pin of nonsense", changed(payments=[NEXO | {"tls_pin": "ab"}]), "tls_pin"),
    ("a root without an environment", changed(payments=[NEXO | {"root": "root.pem"}]), "environment"),
    (
        "an environment nobody knows",
        changed(payments=[NEXO | {"root": "root.pem", "environment": "prod"}]),
        "environment",
    ),
    ("a key version below nothing", changed(payments=[NEXO | {"key_version": -1}]), "key_version"),
    ("one terminal as two", changed(payments=[NEXO, NEXO | {"name": "card-2"}]), "same terminal"),
    ("two paths of a name", changed(payments=[NEXO, SWISH | {"name": "card-1"}]), "two payment paths"),
    ("Swish by two ways to one node", changed(payments=[SWISH, SWISH | {"name": "swish-2"}]), "swish"),
    ("a payee who is no shop", changed(payments=[ALONE | {"payee": "0701234567"}]), "payments[0].payee"),
    ("nine ways of paying", changed(payments=[ALONE | {"name": f"s{n}"} for n in range(9)]), "payments"),
    ("a number too large", changed(rules={"disk_least_mb": 10**40}), "disk_least_mb"),
]


@pytest.mark.parametrize(("data", "place"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_t8_settings_of_nonsense_name_the_place(data: bytes, place: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(data, "till.json")
    assert "till.json" in str(refused.value)
    assert place in str(refused.value)
    assert str(refused.value).isprintable()


@given(
    st.sampled_from(sorted(GOOD)),
    st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.none(), max_size=2)),
)
def test_t8_any_other_value_is_read_or_refused_and_nothing_else(key: str, value: object) -> None:
    with suppress(SettingsError):
        assert read_settings(json.dumps(GOOD | {key: value}).encode(), "till.json").till


@given(st.binary(max_size=200))
def test_t8_noise_is_refused(data: bytes) -> None:
    with pytest.raises(SettingsError):
        read_settings(data, "till.json")
    if data.strip(b" \t\r\n") != b"[]":
        with pytest.raises(SettingsError):
            read_staff(data, "staff.json")


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ([MEMBER | {"number": 0}], "number"),
        ([MEMBER | {"number": 1_000_000}], "number"),
        ([MEMBER | {"role": "owner"}], "role"),
        ([MEMBER | {"pin": "1234"}], "pin"),
        ([MEMBER, MEMBER], "same number"),
        ([MEMBER | {"badge": "ab" * 32}, MEMBER | {"number": 8, "badge": "ab" * 32}], "same badge"),
        ([MEMBER | {"badge": "BADGE-1"}], "badge"),
        ({}, "staff.json"),
        ([None], "staff.json"),
    ],
)
def test_t8_a_staff_list_of_nonsense_names_the_place(members: object, place: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_staff(json.dumps(members).encode(), "staff.json")
    assert "staff.json" in str(refused.value)
    assert place in str(refused.value)


def test_t8_a_staff_list_holds_numbers_roles_and_digests() -> None:
    (member,) = read_staff(json.dumps([MEMBER]).encode(), "staff.json")
    assert (member.number, member.role) == (7, "cashier")
