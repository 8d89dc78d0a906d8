"""Vouchers that balance by themselves, and a file that reads back: judged by a small SIE reader written here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.fiscal.books import (
    BAS,
    NoMeansAccountError,
    NoRateAccountError,
    ReportDiffersError,
    Row,
    Voucher,
    sie,
    vouchers,
)
from oppet.journal.kinds import CashCounted, CashMoved, FloatSet, Receipt, ReportMade, TenderTaken
from tests.fiscal.journals import BO, GOODS, PANT, Shop, a_line, a_shop, happenings, unhurried

MILK, BREAD, CHEESE, SOAP, _, LUNCH = GOODS
TOKEN = re.compile(r'"((?:\\"|[^"])*)"|(\{[^}]*\})|(\S+)')


@dataclass
class Ver:
    date: str
    text: str
    trans: list[tuple[int, str, int]] = field(default_factory=list)  # account, objects, öre


@dataclass
class Sie:
    labels: dict[str, list[list[str]]] = field(default_factory=dict)
    vers: list[Ver] = field(default_factory=list)


def fields(line: str) -> list[str]:
    return [(quoted.replace('\\"', '"') if quoted or not (braces or bare) else braces or bare)
            for quoted, braces, bare in TOKEN.findall(line)]  # fmt: skip


def ore(text: str) -> int:
    assert re.fullmatch(r"-?\d+(\.\d{1,2})?", text), text
    return round(float(text) * 100)


def read_sie(data: bytes) -> Sie:
    """Read SIE 4I as its description says, sharing nothing with the writer."""
    assert data.endswith(b"\r\n")
    assert b"\n" not in data.replace(b"\r\n", b"")
    found, inside = Sie(), False
    for line in data.decode("cp437").split("\r\n")[:-1]:
        words = fields(line)
        if line in "{}":
            inside = line == "{"
        elif inside:
            assert words[0] == "#TRANS"
            found.vers[-1].trans.append((int(words[1]), words[2], ore(words[3])))
        elif words[0] == "#VER":
            assert words[1:3] == ["", ""]
            found.vers.append(Ver(words[3], words[4]))
        else:
            found.labels.setdefault(words[0], []).append(words[1:])
    assert not inside
    return found


def booked(shop: Shop) -> list[dict[int, int]]:
    return [{row.account: row.ore for row in voucher.rows} for voucher in vouchers(shop.entries())]


def test_b1_a_day_is_booked_on_the_accounts_of_the_table() -> None:
    shop = Shop()
    shop.write(FloatSet(100_000, BO))
    shop.sell([a_line(1, MILK, 2000), a_line(2, SOAP), a_line(3, PANT, 2000, pant_of=1)])  # 62.30, cash 62
    shop.sell([a_line(1, LUNCH)], means=[("card", 9500)])
    shop.sell([a_line(1, BREAD)], means=[("swish", 3295)])
    shop.sell([a_line(1, MILK)], "return")  # 16.90, cash 17
    shop.sell([a_line(1, SOAP)], "training")
    shop.write(CashMoved(-50_000, "safe", BO), CashCounted((), 54_000, 54_500, -500, BO))
    shop.report("z")
    assert booked(shop) == [
        {
            1581: 9500,
            1582: 3295,
            1910: 6200 - 1700 + 100_000 - 50_000 - 500,
            1911: -50_000,
            2611: -490,
            2621: -1018,
            2631: -191 - 187 + 96,
            2895: -400,
            3001: -1960,
            3002: -8482,
            3003: -3189 - 3108 + 1594,
            3740: 30 + 10,
            6991: 500,
        }
    ]


def test_b1_a_day_may_round_up_and_the_krona_is_income() -> None:
    shop = Shop()
    shop.sell([a_line(1, SOAP, 3000)])  # 73.50: cash 74
    shop.report("z")
    assert booked(shop)[0][3740] == -50


@unhurried
@given(happenings())
def test_b1_b3_any_journal_balances_to_0_00_by_itself(actions: list[tuple[str, int]]) -> None:
    """R08: no balancing row; R09: booking asks nobody. Cash moves as the drawer does."""
    shop = a_shop(actions)
    shop.report("z")
    made = vouchers(shop.entries())
    assert len(made) == sum(isinstance(body, ReportMade) and body.kind == "z" for body in shop.bodies)
    for voucher in made:
        assert sum(row.ore for row in voucher.rows) == 0
        assert len({row.account for row in voucher.rows}) == len(voucher.rows)
    on_1910 = sum(row.ore for voucher in made for row in voucher.rows if row.account == 1910)
    assert on_1910 == shop.fold().cash_expected_ore()
    receipts = [body for body in shop.bodies if isinstance(body, Receipt) and body.kind != "training"]
    vat = sum((1 if r.kind == "sale" else -1) * part.vat_ore for r in receipts for part in r.vat)
    assert -sum(row.ore for voucher in made for row in voucher.rows if row.account in (2611, 2621, 2631)) == vat


def test_b1_an_open_day_has_no_voucher_yet() -> None:
    shop = Shop()
    shop.sell([a_line(1)])
    shop.report("x")
    assert vouchers(shop.entries()) == []


def test_b1_the_text_names_the_z_and_the_day_is_the_last_sales() -> None:
    shop = Shop(step_ms=60_000 * 60)
    shop.sell([a_line(1)])
    while len(shop.bodies) < 20:  # the Z is made after midnight
        shop.write(CashMoved(0, "nothing", BO))
    shop.report("z")
    [voucher] = vouchers(shop.entries())
    assert (voucher.text, voucher.day) == ("Z 1 K3-1", "2026-11-22")
    assert (voucher.store, voucher.register) == ("Ljusdal", "K3-1")


def test_b2_a_z_that_its_entries_do_not_give_is_not_booked() -> None:
    """R08: the entries are the truth, the report is derived."""
    shop = Shop()
    shop.sell([a_line(1)])
    made = shop.report("z")
    shop.bodies[-1] = msgspec.structs.replace(made, report=msgspec.structs.replace(made.report, sales_ore=1))
    with pytest.raises(ReportDiffersError):
        vouchers(shop.entries())


@pytest.mark.parametrize(("means", "account"), [("cash", 1910), ("card", 1581)])
def test_b4_money_whose_code_is_unknown_waits_on_its_own_account(means: str, account: int) -> None:
    shop = Shop()
    shop.code_unknown([a_line(1)], means)
    shop.report("z")
    shop.report("z")
    assert booked(shop) == [{account: 1690, 2999: -1690}, {}]


def test_b4_a_receipt_that_follows_after_the_z_takes_its_money_back_off_that_account() -> None:
    shop = Shop()
    shop.open(lines=[a_line(1, LUNCH)])
    shop.write(TenderTaken(shop.sale, 1, "card", 9500, 9500, 0))
    shop.report("z")
    shop.finish([a_line(1, LUNCH)], means=[("card", 9500)])
    shop.report("z")
    assert booked(shop) == [{1581: 9500, 2999: -9500}, {2999: 9500, 3002: -8482, 2621: -1018}]


def test_b2_a_rate_or_means_without_an_account_is_refused_by_name() -> None:
    shop = Shop()
    shop.sell([a_line(1, ("1", "Kaffe", "G", "vara", "st", 1000, 700))])
    shop.report("z")
    with pytest.raises(NoRateAccountError, match="7,00 %"):
        vouchers(shop.entries())
    shop = Shop()
    shop.sell([a_line(1)], means=[("seashells", 1690)])
    shop.report("z")
    with pytest.raises(NoMeansAccountError, match="seashells"):
        vouchers(shop.entries())


@unhurried
@given(
    happenings(), st.sampled_from(["Bygdens Konsum ek. för.", 'Åsas "Lilla" Öl & Ost', "Café Déjà \\", "a\r\n#VER b"])
)
def test_b5_the_file_reads_back_in_cp437(actions: list[tuple[str, int]], name: str) -> None:
    """R08: what is read back are the vouchers, and each adds up to exactly 0.00."""
    shop = a_shop(actions)
    shop.report("z")
    made = vouchers(shop.entries())
    found = read_sie(sie(made, name, "5566778899", "2026-11-22", "1.0.0"))
    assert [(ver.text, sum(amount for _, _, amount in ver.trans)) for ver in found.vers] == [(v.text, 0) for v in made]
    for ver, voucher in zip(found.vers, made, strict=True):
        wanted = [(row.account, row.ore) for row in voucher.rows] or [(1910, 0)]
        assert [(account, amount) for account, _, amount in ver.trans] == wanted
        assert {objects for _, objects, _ in ver.trans} == {'{1 "Ljusdal" 20 "K3-1"}'}
    known = {account for account, _ in found.labels["#KONTO"]}
    assert {str(account) for ver in found.vers for account, _, _ in ver.trans} <= known
    assert found.labels["#FNAMN"] == [[name.replace("\\", "/").replace("\r\n", "  ")]]


def test_b5_the_head_is_what_a_4i_file_says() -> None:
    made = [Voucher("2026-11-22", "Z 1 K3-1", "Hörnet", "K3-1", (Row(1910, 100), Row(3001, -100)))]
    data = sie(made, "Åsa Öberg", "5566778899", "2026-11-23", "1.0.0")
    assert b'#FNAMN "\x8fsa \x99berg"\r\n' in data
    found = read_sie(data)
    assert found.labels == {
        "#FLAGGA": [["0"]],
        "#PROGRAM": [["Öppet", "1.0.0"]],
        "#FORMAT": [["PC8"]],
        "#GEN": [["20261123"]],
        "#SIETYP": [["4"]],
        "#ORGNR": [["556677-8899"]],
        "#FNAMN": [["Åsa Öberg"]],
        "#KONTO": [["1910", "Kassa"], ["3001", "Försäljning 25 % moms"]],
        "#DIM": [["20", "Kassa"]],
        "#OBJEKT": [["1", "Hörnet", "Hörnet"], ["20", "K3-1", "K3-1"]],
    }
    assert found.vers == [
        Ver("20261122", "Z 1 K3-1", [(1910, '{1 "Hörnet" 20 "K3-1"}', 100), (3001, '{1 "Hörnet" 20 "K3-1"}', -100)])
    ]


def test_b5_letters_that_cp437_lacks_are_questioned_not_lost() -> None:
    found = read_sie(sie([], "Žižka – Ost & Öl", "5566778899", "2026-11-22", "1.0.0"))
    assert found.labels["#FNAMN"] == [["?i?ka ? Ost & Öl"]]


def test_b5_every_account_has_a_name() -> None:
    every = {*BAS.means.values(), *BAS.sales.values(), *BAS.vat.values()}
    every |= {BAS.pant, BAS.rounding, BAS.safe, BAS.difference, BAS.suspense}
    assert every == set(BAS.names)
