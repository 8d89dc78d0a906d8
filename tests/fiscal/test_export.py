"""The law's XML: one test for each element and order of the reference's §7, read by a parser that is not ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from lxml import etree

from oppet.base.clock import parse_utc, utc_text
from oppet.fiscal.export import Period, export, file_name
from oppet.journal.entry import Entry
from oppet.journal.kinds import (
    CopyMade,
    DrawerOpened,
    FloatSet,
    LineChanged,
    LineVoided,
    PriceAsked,
    Receipt,
    SaleAbandoned,
    SaleParked,
    SaleResumed,
    SignedIn,
    SignedOut,
    TillStarted,
)
from tests.fiscal.journals import ALVA, BO, GOODS, UNIT, Shop, a_line, a_shop, happenings, unhurried

INSTANS = "{http://xmls.skatteverket.se/se/skatteverket/td/instans/utredningsstod/1.0}"
KOMPONENT = "{http://xmls.skatteverket.se/se/skatteverket/td/komponent/utredningsstod/1.0}"
ROOT = "ExportAvDataFranJournalminneEnligtSKVFS2021-16"
ALL_TIME = Period("2026-11-22T00:00:00.000Z", "2026-11-22T22:59:59.999Z")
MILK, BREAD, CHEESE, SOAP, PAPER, LUNCH = GOODS

# Written down from the reference, §7; `?` may be missing. Nothing here comes from our code.
RECEIPT_END = [
    "TotaltForsaljningsbeloppISvenskaKronor",
    "MervardesskattPaForsaljningsbeloppet",
    "TotalaForsaljningssummorPerBetalningsmedelLISTA",
    "MervardesskattPaOlikaSkattesatserLISTA",
]
SELLER = ["ForetagetsNamn", "OrganisationsnummerEllerPersonnummer", "DenAdressDarForsaljningSker"]
REGISTER = [
    "TillverkningsnummerForKassaregistret",
    "ModellbeteckningForKassaregistret",
    "ModellEllerProgramForKassaregistret",
    "VersionsnummerForKassaregistret",
]
REPORT_END = [
    "TotalForsaljningssumma",
    "MervardesskattPaOlikaSkattesatserLISTA",
    "VaxelkassansBeloppISvenskaKronor",
    "AntalKassakvitton",
    "AntalKassaladoppningar",
    "AntalKvittokopior",
    "TotaltBeloppPaKvittokopior",
    "AntalKvittonSomTagitsFramIOvningslage",
    "TotalaForsaljningssummorPerBetalningsmedelLISTA",
    "AntalReturer",
    "ReturernasBelopp",
    "RabatternasBelopp",
    "AntalOvrigaRegistreringarSomMinskatDagensForsaljningsbelopp",
    "TotaltBeloppAvOvrigaRegistreringarSomMinskatDagensForsaljningsbelopp",
    "AntalOavslutadeForsaljningar",
    "TotaltBeloppAvOavslutadeForsaljningar",
    "GrandTotalForsaljning",
    "GrandTotalRetur",
    "GrandTotalNetto",
]
ORDER: dict[str, list[str]] = {
    ROOT: [
        "InloggadAnvandareVidExportAvDataFranJournalminnet",
        "BeteckningPaDetKassaregisterSomExportAvDataFranJournalminnetSkerIfran",
        "TidpunktForNarExportAvDataFranJournalminnetSker",
        "ValdPeriodForExportAvDataFranJournalminne",
        "BeteckningPaValdaKassaregisterForExportAvDataFranJournalminnenLISTA",
        "InformationOmForetaget",
        "KassaregistersystemLISTA",
        "RegistreringLISTA",
    ],
    "ValdPeriodForExportAvDataFranJournalminne": [
        "ValdStarttidpunktForExportAvDataFranJournalminnet",
        "ValdSluttidpunktForExportAvDataFranJournalminnet",
    ],
    "BeteckningPaValdaKassaregisterForExportAvDataFranJournalminnenLISTA": [
        "BeteckningPaValtKassaregisterForExportAvDataFranJournalminnet"
    ],
    "InformationOmForetaget": [
        "OrganisationsnummerEllerPersonnummer",
        "ForetagetsNamn",
        "DenAdressDarForsaljningSker",
    ],
    "KassaregistersystemLISTA": ["Kassaregistersystemet"],
    "Kassaregistersystemet": [*REGISTER, "Kassabeteckning", "TillverkningsnummerForKontrollenheten"],
    "RegistreringLISTA": ["Handelse"],
    "Kassakvitto": [
        *SELLER,
        "DatumOchKlockslagNarKvittoFramstalls",
        "LopnummerForKassakvitto",
        "Kassabeteckning",
        "SaldaArtiklarLISTA",
        *RECEIPT_END,
        "LopnummerForZDagrapportPaKvitto",
        "TillverkningsnummerForKontrollenheten",
        "Kontrollkod",
    ],
    "Returkvitto": [
        *SELLER,
        "DatumOchKlockslagNarReturkvittoFramstalls",
        "LopnummerForKassakvitto",
        "Kassabeteckning",
        "SaldaArtiklarLISTA",
        *RECEIPT_END,
        "LopnummerForZDagrapportPaKvitto",
        "TillverkningsnummerForKontrollenheten",
        "Kontrollkod",
    ],
    "KopiaAvKassakvitto": [
        *SELLER,
        "DatumOchKlockslagNarKvittoFramstalls",
        "DatumOchKlockslagNarOriginalkvittoFramstalldes",
        "LopnummerForKvittokopia",
        "LopnummerPaOriginalkvitto",
        "Kassabeteckning",
        "SaldaArtiklarLISTA",
        *RECEIPT_END,
        "KontrollkodPaKopiaAvKassakvitto",
        "LopnummerForZDagrapportPaKvitto",
        "TillverkningsnummerForKontrollenheten",
        "KontrollkodForKvittotSomKopianAvser",
    ],
    "Ovningskvitto": [
        *SELLER,
        "DatumOchKlockslagNarKvittoFramstalls",
        "LopnummerForOvningskvitto",
        "Kassabeteckning",
        "SaldaArtiklarLISTA",
        *RECEIPT_END,
        "LopnummerForZDagrapportPaKvitto",
        "TillverkningsnummerForKontrollenheten",
    ],
    "SaldaArtiklarLISTA": ["SaldArtikel"],
    "SaldArtikel": [
        "TypAvArtikel",
        "Artikelnummer",
        "Artikelnamn",
        "AntalAvSaldArtikel",
        "EnhetForViktLangdTidEllerVolym?",
        "PrisPerEnhet",
        "PrisPaSaldArtikel",
        "RabatterPaSaldArtikelLISTA?",
        "MervardesskattesatsForSaldArtikel",
        "MervardesskattPaSaldArtikel",
        "ArtikelnsRegistreringstidpunkt",
    ],
    "RabatterPaSaldArtikelLISTA": ["RabattPaSaldArtikel"],
    "RabattPaSaldArtikel": ["RabattensBelopp"],
    "TotalaForsaljningssummorPerBetalningsmedelLISTA": ["TotalForsaljningssummaPerBetalningsmedel"],
    "TotalForsaljningssummaPerBetalningsmedel": ["Betalningsmedel", "ForsaljningssummaPerBetalningsmedel"],
    "MervardesskattPaOlikaSkattesatserLISTA": ["MervardesskattPerSkattesats"],
    "MervardesskattPerSkattesats": ["Mervardesskattesats", "TotaltMervardesskattebeloppPerSkattesats"],
    "XDagrapport": [*SELLER[:2], "DatumOchKlockslagNarRapportFramstalls", "Kassabeteckning", *REPORT_END],
    "ZDagrapport": [
        *SELLER[:2],
        "DatumOchKlockslagNarRapportFramstalls",
        "LopnummerForZDagrapport",
        "Kassabeteckning",
        *REGISTER,
        *REPORT_END,
    ],
    "ParkeraRegistreradArtikel": [
        "TypAvArtikel",
        "Artikelnummer",
        "Artikelnamn",
        "AntalAvRegistreradArtikel",
        "EnhetForViktLangdTidEllerVolym?",
        "PrisPerEnhet",
        "PrisPaRegistreradArtikel",
        "RabatterPaRegistreradArtikelLISTA?",
        "MervardesskattesatsForRegistreradArtikel",
        "MervardesskattPaRegistreradArtikel",
        "IdentitetsbeteckningPaParkering",
    ],
}
# The regulation says these in words only: names to check against the XSD.
IN_WORDS_ONLY = [
    "RegistreraArtikel",
    "AndraRegistreradArtikel",
    "RaderaRegistreradArtikel",
    "OppnaParkeradArtikel",
    "RaderaParkeradArtikel",
    "AvslutaParkering",
    "OppnaKassaladaVidNollforsaljning",
    "AnvandaRensa",
    "Prisforfragan",
]
WORDS = [
    "Kassakvitto",
    "Returkvitto",
    "KopiaAvKassakvitto",
    "Ovningskvitto",
    "XDagrapport",
    "ZDagrapport",
    "InloggningIKassaregister",
    "UtloggningUrKassaregister",
    "ParkeraRegistreradArtikel",
]
EVERY_ELEMENT = sorted({name.rstrip("?") for children in ORDER.values() for name in children} | set(IN_WORDS_ONLY))
AMOUNTS = re.compile(
    r"^(Pris|Totalt|Mervardesskatt(Pa|sats)|Rabatt|Returernas|GrandTotal|Vaxel|Forsaljningssumma|Antal)"
)


def a_day() -> Shop:
    shop = Shop()
    shop.write(TillStarted("1.0.1", "2026-11-22", "cd" * 32, False), SignedIn(ALVA, "cashier"), FloatSet(100_000, BO))
    shop.write(PriceAsked("1001", 1690, ALVA))
    lines = [a_line(1, MILK, 2000, time=shop.time()), a_line(2, CHEESE, 345, 500), a_line(3, LUNCH)]
    receipt = shop.sell(lines, means=[("card", 8_000)])
    shop.copy_of(receipt)
    shop.sell([a_line(1, MILK)], "return")
    shop.sell([a_line(1, SOAP)], "training")
    shop.write(DrawerOpened("change", ALVA, BO))
    sale = shop.open(lines=lines)
    shop.write(LineChanged(sale, 1, 5000, 8450), LineVoided(sale, 3, 9500, ALVA, 0), SaleParked(sale, ALVA))
    shop.open(lines=lines)
    shop.write(SaleAbandoned(shop.sale, 1, "customer left", ALVA))
    shop.report("x")
    shop.write(SaleResumed(sale, ALVA), SaleParked(sale, ALVA), SaleAbandoned(sale, 1, "customer left", ALVA))
    shop.report("z")
    shop.sell([a_line(1, BREAD)])
    shop.write(SignedOut(ALVA))
    return shop


def parsed(entries: list[Entry], period: Period = ALL_TIME) -> Any:
    data = b"".join(export(entries, period, "3", "2026-11-22T19:30:00.250Z"))
    return etree.fromstring(data, etree.XMLParser(resolve_entities=False))


@pytest.fixture(scope="module")
def day() -> Any:
    return parsed(a_day().entries())


def named(tree: Any, name: str) -> list[Any]:
    return list(tree.iter(KOMPONENT + name, INSTANS + name))


def short(element: Any) -> str:
    return str(etree.QName(element).localname)


def texts(tree: Any, name: str) -> list[str]:
    return [element.text or "" for element in named(tree, name)]


def leaves(tree: Any) -> Iterator[Any]:
    return (element for element in tree.iter() if not len(element) and short(element) != "RegistreringLISTA")


def what_happened(tree: Any) -> list[str]:
    return [short(event[-1]) for event in named(tree, "Handelse")]


@pytest.mark.parametrize("name", EVERY_ELEMENT)
def test_f9_every_element_of_the_law_is_written(day: Any, name: str) -> None:
    assert named(day, name), name


@pytest.mark.parametrize("name", ORDER)
def test_f9_children_come_in_the_laws_order(day: Any, name: str) -> None:
    """Every occurrence has exactly the children of the table, in its order; a list has at least one."""
    allowed = [child.rstrip("?") for child in ORDER[name]]
    wanted = [child for child in ORDER[name] if not child.endswith("?")]
    assert named(day, name)
    for element in named(day, name):
        children = [short(child) for child in element]
        if name.endswith("LISTA") and name != "KassaregistersystemLISTA":
            assert set(children) == set(allowed)
            continue
        assert [child for child in children if child in wanted] == wanted
        places = [allowed.index(child) for child in children]
        assert places == sorted(set(places))


def test_f9_the_root_and_its_children_have_their_own_namespaces(day: Any) -> None:
    assert day.tag == INSTANS + ROOT
    assert {etree.QName(element).namespace for element in day.iterdescendants()} == {KOMPONENT[1:-1]}


def test_f9_the_file_is_utf_8_and_stands_alone() -> None:
    data = b"".join(export(a_day().entries(), ALL_TIME, "3", ALL_TIME.end))
    assert data.startswith(b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n')
    assert "Rågbröd".encode() in data


@pytest.mark.parametrize("name", [*WORDS, *IN_WORDS_ONLY])
def test_f10_a_handelse_says_one_thing_after_who_where_and_when(day: Any, name: str) -> None:
    events = [event for event in named(day, "Handelse") if short(event[-1]) == name]
    assert events
    for event in events:
        assert [short(child) for child in event][:-1] == [
            "InloggadAnvandare",
            "Kassabeteckning",
            "Registreringstidpunkt",
        ]
        assert (event[0].text, event[1].text) == (str(ALVA), "K3-1")


def test_f10_nobody_signed_in_is_written_as_nobody() -> None:
    shop = Shop()
    shop.write(DrawerOpened("change", ALVA, BO))
    [event] = named(parsed(shop.entries()), "Handelse")
    assert [short(child) for child in event][:2] == ["Kassabeteckning", "Registreringstidpunkt"]


def test_f10_events_come_in_journal_order() -> None:
    tree = parsed(a_day().entries())
    assert what_happened(tree) == [
        "InloggningIKassaregister",
        "Prisforfragan",
        *["RegistreraArtikel"] * 3,
        "Kassakvitto",
        "KopiaAvKassakvitto",
        "RegistreraArtikel",
        "Returkvitto",
        "Ovningskvitto",
        "OppnaKassaladaVidNollforsaljning",
        *["RegistreraArtikel"] * 3,
        "AndraRegistreradArtikel",
        "RaderaRegistreradArtikel",
        *["ParkeraRegistreradArtikel"] * 2,
        *["RegistreraArtikel"] * 3,
        "AnvandaRensa",
        "XDagrapport",
        *["OppnaParkeradArtikel"] * 2,
        "AvslutaParkering",
        *["ParkeraRegistreradArtikel"] * 2,
        *["RaderaParkeradArtikel"] * 2,
        "ZDagrapport",
        "RegistreraArtikel",
        "Kassakvitto",
        "UtloggningUrKassaregister",
    ]
    times = texts(tree, "Registreringstidpunkt")
    assert all(before <= after for before, after in pairwise(times))


def test_f11_of_a_training_sale_only_its_receipt_is_exported() -> None:
    shop = Shop()
    shop.open("training", [a_line(1)])
    shop.write(LineChanged(1, 1, 2000, 3380), LineVoided(1, 1, 3380, ALVA, 0), SaleAbandoned(1, 0, "", ALVA))
    shop.sell([a_line(1)], "training")
    assert what_happened(parsed(shop.entries())) == ["Ovningskvitto"]


def test_f9_the_values_of_a_receipt(day: Any) -> None:
    receipt = named(day, "Kassakvitto")[0]
    milk, cheese, lunch = named(receipt, "SaldArtikel")
    assert [short(child) + "=" + (child.text or "") for child in milk] == [
        "TypAvArtikel=VARA",
        "Artikelnummer=1001",
        "Artikelnamn=Mjölk 1 l",
        "AntalAvSaldArtikel=2",
        "PrisPerEnhet=16.90",
        "PrisPaSaldArtikel=33.80",
        "MervardesskattesatsForSaldArtikel=6.00",
        "MervardesskattPaSaldArtikel=1.91",
        "ArtikelnsRegistreringstidpunkt=2026-11-22T08:00:07",
    ]
    assert texts(cheese, "AntalAvSaldArtikel") == ["0.35"]
    assert texts(cheese, "EnhetForViktLangdTidEllerVolym") == ["kg"]
    assert texts(cheese, "PrisPaSaldArtikel") == ["39.82"]
    assert texts(cheese, "RabattensBelopp") == ["5.00"]
    assert texts(lunch, "TypAvArtikel") == ["TJANST"]
    assert texts(receipt, "TotaltForsaljningsbeloppISvenskaKronor") == ["168.62"]
    assert texts(receipt, "Betalningsmedel") == ["Kort", "Kontant"]
    assert texts(receipt, "ForsaljningssummaPerBetalningsmedel") == ["80.00", "89.00"]
    assert texts(receipt, "Mervardesskattesats") == ["12.00", "6.00"]
    assert texts(receipt, "TillverkningsnummerForKontrollenheten") == [UNIT]


def test_f9_a_receipt_names_the_z_that_closed_its_day_and_0_while_it_is_open(day: Any) -> None:
    closed, still_open = named(day, "Kassakvitto")
    assert texts(closed, "LopnummerForZDagrapportPaKvitto") == ["1"]
    assert texts(still_open, "LopnummerForZDagrapportPaKvitto") == ["0"]


def test_f9_a_copy_says_what_the_original_said_and_whose_it_is(day: Any) -> None:
    [copy] = named(day, "KopiaAvKassakvitto")
    original = named(day, "Kassakvitto")[0]
    assert texts(copy, "LopnummerPaOriginalkvitto") == texts(original, "LopnummerForKassakvitto") == ["1"]
    assert texts(copy, "KontrollkodForKvittotSomKopianAvser") == texts(original, "Kontrollkod")
    assert texts(copy, "KontrollkodPaKopiaAvKassakvitto") != texts(original, "Kontrollkod")
    made = "DatumOchKlockslagNarOriginalkvittoFramstalldes"
    assert texts(copy, made) == texts(original, "DatumOchKlockslagNarKvittoFramstalls")
    assert etree.tostring(named(copy, "SaldaArtiklarLISTA")[0]) == etree.tostring(
        named(original, "SaldaArtiklarLISTA")[0]
    )


def test_f9_the_values_of_a_z(day: Any) -> None:
    [z] = named(day, "ZDagrapport")
    told = {short(child): child.text for child in z if not len(child)}
    assert told["LopnummerForZDagrapport"] == "1"
    assert told["VersionsnummerForKassaregistret"] == "1.0.1"  # the version that made it, not the one installed first
    assert told["TotalForsaljningssumma"] == told["GrandTotalNetto"] == "151.72"
    assert (told["GrandTotalForsaljning"], told["GrandTotalRetur"]) == ("168.62", "16.90")
    assert (told["AntalKassakvitton"], told["AntalReturer"], told["AntalKvittokopior"]) == ("1", "1", "1")
    assert told["VaxelkassansBeloppISvenskaKronor"] == "1000.00"
    assert told["AntalOavslutadeForsaljningar"] == "2"


def test_f9_an_empty_report_has_one_rate_and_one_means() -> None:
    shop = Shop()
    shop.report("z")
    [z] = named(parsed(shop.entries()), "ZDagrapport")
    assert texts(z, "TotaltMervardesskattebeloppPerSkattesats") == ["0.00"]
    assert texts(z, "ForsaljningssummaPerBetalningsmedel") == ["0.00"]


@pytest.mark.parametrize(("utc", "local"), [("2026-07-01T21:59:59.999Z", "2026-07-01T23:59:59"),
                                            ("2026-12-31T23:00:00.000Z", "2027-01-01T00:00:00")])  # fmt: skip
def test_f9_times_are_local_to_the_second(utc: str, local: str) -> None:
    shop = Shop()
    shop.write(DrawerOpened("change", ALVA, BO))
    entries = [msgspec.structs.replace(entry, time=utc) for entry in shop.entries()]
    tree = parsed(entries, Period(utc, utc))
    assert texts(tree, "Registreringstidpunkt") == [local]
    assert texts(tree, "ValdStarttidpunktForExportAvDataFranJournalminnet") == [local]
    assert texts(tree, "TidpunktForNarExportAvDataFranJournalminnetSker") == ["2026-11-22T20:30:00"]


def test_f9_hostile_and_long_names_stay_text() -> None:
    """What JSON can say and XML cannot becomes a question mark; markup stays text; 72 characters are kept."""
    shop = Shop()
    shop.open(lines=[a_line(1, ("6666", "NAME", *MILK[2:]))])
    *entries, line = shop.entries()
    name = b'"]]><x>&\\u0000\\ufffe' + ("å" * 100).encode() + b'"'
    line = msgspec.structs.replace(line, body=msgspec.Raw(bytes(line.body).replace(b'"NAME"', name)))
    assert texts(parsed([*entries, line]), "Artikelnamn") == ["]]><x>&??" + "å" * 63]


@unhurried
@given(happenings())
def test_f9_any_journal_gives_lawful_text_and_amounts(actions: list[tuple[str, int]]) -> None:
    shop = a_shop(actions)
    tree = parsed(shop.entries())
    for leaf in leaves(tree):
        assert len(leaf.text or "") <= 72
        if AMOUNTS.match(short(leaf)) and not short(leaf).startswith("Tillverk"):
            assert re.fullmatch(r"-?\d+(\.\d{1,2})?", leaf.text), short(leaf)
    kinds = [body.kind for body in shop.bodies if isinstance(body, Receipt)]
    assert len(named(tree, "Kassakvitto")) == kinds.count("sale")
    assert len(named(tree, "Returkvitto")) == kinds.count("return")
    assert len(named(tree, "Ovningskvitto")) == kinds.count("training")
    assert len(named(tree, "KopiaAvKassakvitto")) == sum(isinstance(body, CopyMade) for body in shop.bodies)


def test_f10_the_period_is_what_was_chosen_and_a_copy_finds_an_older_original() -> None:
    shop = a_day()
    entries = shop.entries()
    copied = next(at for at, body in enumerate(shop.bodies) if isinstance(body, CopyMade))
    alone = Period(entries[copied].time, entries[copied].time)
    assert what_happened(parsed(entries, alone)) == ["KopiaAvKassakvitto"]
    before = Period("2026-11-21T00:00:00.000Z", utc_text(parse_utc(entries[0].time) - 1))
    assert what_happened(parsed(entries, before)) == []


def test_f10_a_copy_of_a_receipt_that_is_not_there_stops_nothing() -> None:
    """Law 9: one bad record never blocks the next."""
    shop = Shop()
    shop.write(CopyMade(1, 99, "sale", 100, UNIT, "CODE", ALVA), DrawerOpened("change", ALVA, BO))
    assert what_happened(parsed(shop.entries())) == ["OppnaKassaladaVidNollforsaljning"]


def test_f10_a_long_journal_is_given_in_pieces() -> None:
    shop = Shop()
    for _ in range(60):
        shop.sell([a_line(place, CHEESE, 345, 100) for place in range(1, 13)])
    pieces = list(export(shop.entries(), ALL_TIME, "3", ALL_TIME.end))
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 100_000


def test_f10_the_file_is_named_by_its_local_days() -> None:
    period = Period("2026-10-31T23:00:00.000Z", "2026-11-30T22:59:59.999Z")
    assert file_name(period) == "ExportAvDataFranJournalminneEnligtSKVFS2021-16_20261101-20261130.xml"
