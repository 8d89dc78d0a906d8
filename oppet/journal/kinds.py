"""Every entry body, declared in one place; those of the second pipe are in `kinds_published.py` beside it.

Version rule: a kind is never renamed or removed; a field is only ever added, with a default. A field at its default
is left out of the bytes, so a default never changes. A reader keeps fields it
does not know (the exact bytes are stored) and stores kinds it does not know. Money is `_ore`, quantities `_milli`
(thousandths), rates basis points, times UTC text. No field may hold a name of a member, payer or staff (law 7 of the
design): staff are numbers, members are tokens.
"""

from __future__ import annotations

import msgspec

from oppet.journal import kinds_published
from oppet.journal.body import Body, Fact, kind_of

__all__ = [
    "KINDS",
    "ActAsked",
    "ActDone",
    "ActRefused",
    "AgeChecked",
    "AlarmRaised",
    "Body",
    "CaseOpened",
    "CaseSettled",
    "CashCounted",
    "CashMoved",
    "ClockDoubted",
    "CodeUnknown",
    "CopyMade",
    "DiscountGiven",
    "DiscountWithdrawn",
    "DrawerOpened",
    "Elsewhere",
    "EpochClosed",
    "EpochOpened",
    "Evidence",
    "Fact",
    "FloatSet",
    "GiftCardMoved",
    "GrandTotals",
    "LineAdded",
    "LineChanged",
    "LineDiscount",
    "LineOffer",
    "LineVoided",
    "MeansTotal",
    "MemberShown",
    "Original",
    "OutageBegan",
    "OutageEnded",
    "PageRead",
    "PathSeen",
    "PersonSignedIn",
    "PersonSignedOut",
    "PostOpened",
    "PriceAsked",
    "Receipt",
    "ReceiptLine",
    "ReceiptPrinted",
    "ReceiptTender",
    "RegistrationGivenUp",
    "RegistrationRefused",
    "RegistrationSent",
    "RegistrationSilent",
    "Report",
    "ReportMade",
    "ReversalFailed",
    "SaleAbandoned",
    "SaleMoved",
    "SaleOpened",
    "SaleParked",
    "SaleResumed",
    "ScanRefused",
    "SettingChanged",
    "SignedIn",
    "SignedOut",
    "SlipsPrinted",
    "TenderHeard",
    "TenderReversed",
    "TenderSent",
    "TenderTaken",
    "TillStarted",
    "TillStopped",
    "TimeConfirmed",
    "UnitAnswered",
    "UnitClosed",
    "UnitOpened",
    "UnitProbed",
    "UnitRequest",
    "VatAmount",
    "kind_of",
]


# --- the register itself -------------------------------------------------------------------------------------------


class EpochOpened(Body, frozen=True):
    """First entry of an epoch: one installation of one till with its own key; for the law a register of its own."""

    store: str
    company: str
    org_no: str  # ten digits
    address: str
    register: str  # kassabeteckning
    manufacturing_no: str  # tillverkningsnummer of the register
    model: str  # must contain SE (SKVFS 2014:9)
    software: str
    public_key: str  # hex of 32 bytes
    units: tuple[str, ...]  # manufacturing numbers of the control units notified for this register
    installation: str  # a digest that differs between machines: a cloned journal shows two


class TillStarted(Body, frozen=True):
    software: str
    prices: str  # version of the price file
    installation: str
    unclean: bool  # the run before did not end by itself
    unconfirmed: bool = False  # no keeper answered: nobody has said that this disk is not an old copy


class EpochClosed(Body, frozen=True):
    """The last entry of an epoch that ends in order: the till is taken away or enrolled anew. Nothing follows."""

    reason: str
    by: int


class TillStopped(Body, frozen=True):
    """The run ended by itself, in order."""


class SettingChanged(Body, frozen=True):
    """Behandlingshistorik (BFL 5:11): what was set, from what, by whom."""

    name: str
    before: str
    after: str
    by: int


class ClockDoubted(Body, frozen=True):
    reading: str  # what the machine's clock says
    earliest: str  # the bounds it was held against
    latest: str


class TimeConfirmed(Body, frozen=True):
    reading: str  # what the machine's clock said
    offset_ms: int  # what a supervisor adds to it from now on
    by: int


class SignedIn(Body, frozen=True):
    staff: int
    role: str  # cashier | supervisor | manager


class SignedOut(Body, frozen=True):
    staff: int


# --- a store node's or head office's own journal: who read and did what, what was alarming -----------------------------


class PostOpened(Body, frozen=True):
    """First entry of a journal that is no register's: a store node's or an HQ process's."""

    place: str  # store | hq
    store: str  # "" at HQ
    software: str
    public_key: str
    installation: str


class PersonSignedIn(Body, frozen=True):
    who: int
    role: str
    how: str  # passkey | pin | demo
    session: str  # a digest that ties what follows together; never the session's secret


class PersonSignedOut(Body, frozen=True):
    who: int
    session: str
    reason: str  # asked | idle | ended


class PageRead(Body, frozen=True):
    who: int
    session: str
    page: str  # path and what it was asked for


class ActDone(Body, frozen=True):
    """Somebody changed something; `approved_by` where it takes two."""

    who: int
    act: str
    about: str
    approved_by: int = 0
    facts: tuple[Fact, ...] = ()


class ActAsked(Body, frozen=True):
    """Four eyes: asked for by one, waiting for another."""

    who: int
    request: int
    act: str
    about: str
    facts: tuple[Fact, ...] = ()


class ActRefused(Body, frozen=True):
    who: int
    act: str
    about: str
    reason: str
    request: int = 0


class AlarmRaised(Body, frozen=True):
    """What a bad cable does not explain: fork, forged batch, a keeper that lost entries, a clone."""

    about: str
    facts: tuple[Fact, ...] = ()


# --- the drawer ----------------------------------------------------------------------------------------------------


class FloatSet(Body, frozen=True):
    """Växelkassa: the float put into the drawer before the day begins."""

    amount_ore: int
    by: int


class CashMoved(Body, frozen=True):
    """Cash out of the drawer to the safe (negative) or change brought in (positive)."""

    amount_ore: int
    reason: str
    by: int


class DrawerOpened(Body, frozen=True):
    """Lådöppning: the drawer opened with no sale or refund registered."""

    reason: str
    by: int
    approved_by: int


class CashCounted(Body, frozen=True):
    counted: tuple[tuple[int, int], ...]  # (denomination in öre, pieces)
    counted_ore: int
    expected_ore: int
    difference_ore: int
    by: int


# --- the basket ----------------------------------------------------------------------------------------------------


class Original(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which receipt is returned against."""

    till: str
    epoch: int
    number: int


class Elsewhere(msgspec.Struct, frozen=True, omit_defaults=True):
    """A basket at another till of the store."""

    till: str
    epoch: int
    sale: int


class SaleOpened(Body, frozen=True):
    sale: int  # unique within the epoch
    mode: str  # sale | return | training
    cashier: int
    original: Original | None = None
    approved_by: int = 0
    moved_from: Elsewhere | None = None  # a basket that was parked at another till (R27)
    lone: bool = False  # a return begun while no store node answered: what came back elsewhere is not known (R17)


class LineAdded(Body, frozen=True):
    sale: int
    line: int  # 1, 2, … within the sale
    article: str
    name: str
    group: str
    kind: str  # vara | tjanst
    quantity_milli: int
    unit: str  # st | kg
    unit_ore: int  # ordinary price a unit
    amount_ore: int  # quantity × unit price before discounts
    vat_rate: int  # basis points, of the day of sale (a return: of the original)
    member_unit_ore: int | None = None
    code: str = ""  # what was scanned, as 14 digits or a short number
    lot: str = ""
    expiry: str = ""
    age: int = 0
    pant_of: int = 0  # the line whose deposit this is
    priced_by_label: bool = False  # the amount was in the code, and is promised
    discountable: bool = True
    mixes: tuple[str, ...] = ()
    markdown_percent: int = 0  # near-date goods
    original_line: int = 0  # of a return
    discounts: tuple[LineDiscount, ...] = ()  # of a return: what the original gave


class LineDiscount(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reduction of one line and why: every öre off is explained."""

    kind: str  # promotion | member | markdown | line | basket
    text: str
    ore: int  # positive: how much less
    source: str = ""  # promotion id or staff number
    quantity_milli: int = 0


class LineChanged(Body, frozen=True):
    sale: int
    line: int
    quantity_milli: int
    amount_ore: int
    by: int = 0
    approved_by: int = 0


class LineVoided(Body, frozen=True):
    sale: int
    line: int
    amount_ore: int
    by: int
    approved_by: int


class LineOffer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A promotion or member price that a line got."""

    line: int
    discount: LineDiscount


class DiscountGiven(Body, frozen=True):
    sale: int
    discount: int
    line: int  # 0 = the whole basket
    percent: int  # whole percent, or 0
    amount_ore: int  # or an amount
    reason: str
    by: int
    approved_by: int


class DiscountWithdrawn(Body, frozen=True):
    sale: int
    discount: int
    by: int


class MemberShown(Body, frozen=True):
    sale: int
    token: str  # a pseudonym; empty takes the membership off the sale


class AgeChecked(Body, frozen=True):
    sale: int
    limit: int  # years
    passed: bool
    by: int


class SaleParked(Body, frozen=True):
    sale: int
    by: int


class SaleResumed(Body, frozen=True):
    sale: int
    by: int


class SaleMoved(Body, frozen=True):
    """A parked basket went on at another till: this one is rid of it (R27). Not an unfinished sale: it is finished there."""

    sale: int
    till: str
    epoch: int


class SaleAbandoned(Body, frozen=True):
    """An unfinished sale (oavslutad försäljning): the law counts them with their amount."""

    sale: int
    amount_ore: int
    reason: str
    by: int
    approved_by: int = 0


class PriceAsked(Body, frozen=True):
    article: str
    unit_ore: int
    by: int


class ScanRefused(Body, frozen=True):
    """Goods that were stopped at the scan: expired, recalled, no price."""

    sale: int
    code: str
    reason: str


# --- payment -------------------------------------------------------------------------------------------------------


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a payment service said of a payment: what a reversal, a refund and reconciliation need, and nothing about who paid.

    Built field by field by the driver; a payer's number, name or whole card number has no place to go (law 7, PCI DSS).
    """

    reference: str = ""  # theirs: POITransactionID, or Swish's paymentReference
    time: str = ""  # theirs, word for word: a reversal sends it back
    approval: str = ""
    acquirer: str = ""  # the acquirer's own transaction id, which its settlement file names
    brand: str = ""
    card: str = ""  # the last four digits
    how: str = ""  # chip_pin | chip | tap | swipe | qr
    offline: bool = False  # approved by the terminal alone
    waiting: int = 0  # offline approvals the terminal still holds


class TenderTaken(Body, frozen=True):
    sale: int
    tender: int
    means: str
    amount_ore: int  # what it pays of the total
    given_ore: int  # cash handed over
    change_ore: int
    reference: str = ""
    offers: tuple[LineOffer, ...] | None = None  # with the first tender the promotions stand as they are now
    evidence: Evidence | None = None  # of a tender that somebody outside decided
    at_risk: bool = False  # on nobody's word but the terminal's or the customer's telephone's
    approved_by: int = 0  # who answers for an invoice above the customer's limit
    lone: bool = False  # a pant voucher taken while nobody could say whether another till had paid it


class TenderReversed(Body, frozen=True):
    sale: int
    tender: int
    means: str
    amount_ore: int
    reason: str


class ReversalFailed(Body, frozen=True):
    sale: int
    tender: int
    means: str
    amount_ore: int
    reason: str


class TenderSent(Body, frozen=True):
    """Durable before the first byte leaves: from here on the outside may have acted.

    `what`: payment, refund, abort, status, reversal. The same `request` goes out twice only where the service's protocol
    defines that as one and the same (Swish PUT): `repeat` says so.
    """

    sale: int
    tender: int
    what: str
    path: str
    means: str
    amount_ore: int
    request: str  # our reference for this exchange: nexo ServiceID, Swish instruction UUID
    about: str = ""  # the request that a status query, abort or reversal is about
    original: Evidence | None = None  # what is reversed or refunded
    offline: bool = False  # the terminal may approve alone, or nothing confirms it now: within the risk budget
    repeat: bool = False
    by: int = 0
    offers: tuple[LineOffer, ...] | None = None  # with the first tender asked for the promotions stand as they are now
    account: str = ""  # whose money it is: a gift card's token


class TenderHeard(Body, frozen=True):
    """What came of an exchange. `outcome` is one of payments/tender.py's table."""

    sale: int
    tender: int
    what: str
    request: str
    outcome: str
    amount_ore: int = 0  # approved, partially approved, reversed or refunded
    why: str = ""  # the service's own code
    evidence: Evidence | None = None


class PathSeen(Body, frozen=True):
    """A payment path began to work otherwise than before: the board of till, store and head office is a fold of these."""

    path: str
    means: str
    state: str  # working | slow | down | unknown
    why: str = ""
    alone: bool = False  # it can still approve with no line to the outside


class GiftCardMoved(Body, frozen=True):
    """A gift card is worth more or less than before, or a request that never came is shut. In its keeper's own journal."""

    card: str  # a token; never the code that stands on the card
    what: str  # issued | charged | put_back | shut
    amount_ore: int
    request: str  # whose reference this is: it counts once
    till: str = ""
    about: str = ""  # of money put back: the request that charged it
    by: int = 0


# --- the control unit ----------------------------------------------------------------------------------------------


class UnitRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one registration says, as it is sent."""

    unit: str  # manufacturing number of the unit asked
    serial: int  # our message number towards this unit
    receipt_id: int  # number of the receipt in its series; the same in every attempt
    receipt_type: str  # normal | kopia | ovning | profo
    minute: str  # local time yyyyMMddHHmm
    org_no: str
    register: str
    total_ore: int  # gross sales; 0 for a return
    negative_ore: int  # absolute amount returned
    vat: tuple[tuple[int, int], ...]  # (rate, öre), negative öre for a return


class UnitProbed(Body, frozen=True):
    unit: str
    ready: bool
    main: str
    storage: str


class RegistrationSent(Body, frozen=True):
    """Durable before the first byte leaves: from here on the unit may have registered."""

    sale: int
    attempt: int
    request: UnitRequest
    copied: int = 0  # the receipt whose copy this is


class UnitAnswered(Body, frozen=True):
    sale: int
    receipt_type: str
    receipt_id: int
    unit: str
    code: str  # empty for training
    storage: str


class RegistrationRefused(Body, frozen=True):
    sale: int
    receipt_type: str
    receipt_id: int
    unit: str
    reason: str
    raw: str


class RegistrationSilent(Body, frozen=True):
    sale: int
    receipt_type: str
    receipt_id: int
    unit: str
    raw: str


class RegistrationGivenUp(Body, frozen=True):
    """Every unit refused in so many words: nothing is registered anywhere, and the number is free for the next receipt."""

    sale: int
    receipt_type: str
    receipt_id: int


class CodeUnknown(Body, frozen=True):
    """The unit may or may not have registered this receipt: no normal receipt is ever printed for it."""

    sale: int
    receipt_type: str
    receipt_id: int
    unit: str
    total_ore: int
    negative_ore: int


class UnitClosed(Body, frozen=True):
    unit: str
    reason: str


class UnitOpened(Body, frozen=True):
    unit: str
    by: int


# --- receipts ------------------------------------------------------------------------------------------------------


class ReceiptLine(msgspec.Struct, frozen=True, omit_defaults=True):
    line: int
    article: str
    name: str
    group: str
    kind: str
    quantity_milli: int
    unit: str
    unit_ore: int
    amount_ore: int  # before discounts
    discounts: tuple[LineDiscount, ...]
    net_ore: int  # amount − discounts, VAT included
    vat_rate: int
    vat_ore: int  # this line's part of the receipt's VAT at its rate
    time: str  # when the article was registered, UTC
    code: str = ""
    lot: str = ""
    pant_of: int = 0
    original_line: int = 0


class VatAmount(msgspec.Struct, frozen=True, omit_defaults=True):
    rate: int
    gross_ore: int
    vat_ore: int


class ReceiptTender(msgspec.Struct, frozen=True, omit_defaults=True):
    means: str
    amount_ore: int
    given_ore: int
    change_ore: int
    reference: str = ""
    evidence: Evidence | None = None
    at_risk: bool = False


class Receipt(Body, frozen=True):
    """A finished receipt, all the law asks for on it (SKVFS 2014:9 7:1). Amounts are positive; `kind` says which way.

    Lines = total; tenders = total + rounding; VAT adds up per rate (law 8 of the design).
    """

    sale: int
    kind: str  # sale | return | training
    number: int  # normal receipts (sale and return) share one series from 1; training has its own
    company: str
    org_no: str
    address: str
    register: str
    cashier: int
    lines: tuple[ReceiptLine, ...]
    total_ore: int
    rounding_ore: int  # tenders − total, on the cash part only
    vat: tuple[VatAmount, ...]
    tenders: tuple[ReceiptTender, ...]
    unit: str
    code: str
    member: str = ""
    original: Original | None = None
    saved_ore: int = 0


class CopyMade(Body, frozen=True):
    """The one copy of a receipt the law allows (6 kap.)."""

    copy: int  # number in the copies' own series
    number: int  # of the original
    kind: str  # of the original: sale | return
    total_ore: int
    unit: str
    code: str
    by: int


class ReceiptPrinted(Body, frozen=True):
    """The receipt is out of our hands. `again` marks an original printed after a restart that found no such entry."""

    series: str  # normal | training | copy
    number: int
    path: str  # paper | reserve_paper | electronic
    again: bool = False
    copies: int = 0  # other machines in the store that had it before it was printed (design §2)


# --- reports -------------------------------------------------------------------------------------------------------


class MeansTotal(msgspec.Struct, frozen=True, omit_defaults=True):
    means: str
    ore: int  # sales less returns


class GrandTotals(msgspec.Struct, frozen=True, omit_defaults=True):
    """Never reset; returns as an absolute amount (SKVFS 2014:9 2 kap.)."""

    sales_ore: int
    returns_ore: int
    net_ore: int


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """An X or Z report: every figure SKVFS 2014:9 7:2–7:3 and the journal export of 2021:16 list."""

    company: str
    org_no: str
    register: str
    total_ore: int  # sales less returns, VAT included
    sales_ore: int
    groups: tuple[tuple[str, int], ...]  # main group → öre, sales less returns
    vat: tuple[VatAmount, ...]
    float_ore: int
    goods_milli: int
    services_milli: int
    receipts: int
    drawer_openings: int
    copies: int
    copies_ore: int
    training: int
    training_ore: int
    means: tuple[MeansTotal, ...]
    returns: int
    returns_ore: int
    discounts_ore: int
    reductions: int  # other registrations that reduced sales: voids
    reductions_ore: int
    unfinished: int
    unfinished_ore: int
    rounding_ore: int
    grand: GrandTotals
    first_seq: int  # the entries it is a function of
    last_seq: int
    discounts: int = 0
    unknown_codes: int = 0  # code_unknown receipts, listed and not counted in sales
    unknown_codes_ore: int = 0
    cash_difference_ore: int = 0
    open_tenders: int = 0  # nobody knows yet whether they are paid; listed, never counted (PT2)
    open_tenders_ore: int = 0


class ReportMade(Body, frozen=True):
    kind: str  # x | z
    number: int  # Z: its own unbroken series; X: 0
    report: Report
    by: int


# --- what went wrong -----------------------------------------------------------------------------------------------


class CaseOpened(Body, frozen=True):
    """Something a person must settle; `about` is one of the words of docs/words.md."""

    case: int
    about: str  # code_unknown | tender_without_sale | reversal_failed | refund_without_return | tender_unknown | …
    sale: int
    amount_ore: int
    facts: tuple[Fact, ...] = ()


class CaseSettled(Body, frozen=True):
    """Money taken without a receipt is settled by a reserve slip, never by a registration afterwards."""

    case: int
    slip: int
    amount_ore: int
    by: int


class SlipsPrinted(Body, frozen=True):
    """Numbered reserve receipts put into the drawer before they are needed (reference §6)."""

    first: int
    last: int
    by: int


class OutageBegan(Body, frozen=True):
    """No control unit answers: the reserve routine of the law begins (reference §6)."""

    reason: str
    by: int


class OutageEnded(Body, frozen=True):
    by: int
    slips: int  # reserve receipts used
    slips_ore: int


PUBLISHED = kinds_published.__all__  # declared by importing them
KINDS: dict[str, type[Body]] = {kind_of(body): body for body in Body.__subclasses__()}
