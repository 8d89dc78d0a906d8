"""Goods into the basket and out of it: what is stopped, what needs a supervisor, what is nonsense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from oppet.base.errors import RefusedError
from oppet.goods.article import Price
from oppet.goods.catalogue import Catalogue
from oppet.goods.errors import ExpiredError, NoPriceError, RecalledError, UnknownArticleError
from oppet.journal.kinds import (
    AgeChecked,
    DiscountGiven,
    LineAdded,
    LineChanged,
    LineVoided,
    MemberShown,
    PriceAsked,
    SaleAbandoned,
    SaleOpened,
    ScanRefused,
)
from oppet.register.errors import NeedsQuantityError, NotPossibleNowError, NotSignedInError
from oppet.register.selling import MOST_DISCOUNTS, MOST_PARKED
from oppet.register.till import Till
from oppet.sale.errors import (
    AgeNotCheckedError,
    BasketEmptyError,
    BasketStateError,
    DiscountTooLargeError,
    NeedsApprovalError,
    NoSuchLineError,
    NoSuchSaleError,
    OddQuantityError,
    TooManyDiscountsError,
    TooManyLinesError,
    TooYoungError,
)
from oppet.sale.rights import Staff
from tests.register.acts import refused
from tests.register.world import ALVA, BAG, BANANA, BEER, BO, BREAD, COLA, CRISPS, MILK, a_till, an_article

MILK_CODE, BREAD_CODE = "7310865004703", "7312345678909"
GS = "\x1d"


def total(till: Till) -> int:
    return till.desk.priced(till.desk.basket()).total_ore


def in_store(prefix: str, value: int, scale: str = "456789") -> str:
    """An EAN-13 that a scale in the store prints."""
    digits = f"{prefix}{scale}{value:04d}"
    return digits + str(-sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(digits)) % 10)


# --- goods in --------------------------------------------------------------------------------------------------------


def test_s1_each_scan_is_on_disk_before_it_is_in_the_basket(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.scan(MILK_CODE)
    till.selling.scan(MILK_CODE, 2000)
    till.selling.pick(COLA)
    assert [type(body) for body in (world.bodies(SaleOpened) + world.bodies(LineAdded))] == [SaleOpened] + 4 * [
        LineAdded
    ]
    lines = till.desk.basket().standing()
    assert [(line.added.article, line.amount_ore, line.added.pant_of) for line in lines] == [
        (MILK, 1_690, 0), (MILK, 3_380, 0), (COLA, 1_250, 0), ("P200", 200, 3),
    ]  # fmt: skip
    assert total(till) == 6_520


def test_s9_weighed_goods_need_a_weight(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    with pytest.raises(NeedsQuantityError):
        till.selling.pick(BANANA)
    assert world.bodies(SaleOpened) == [], "a basket is not opened for nothing"
    assert till.selling.pick(BANANA, 755).amount_ore == 2_106


@pytest.mark.parametrize("quantity", [0, -1, -1000, 1, 1500, 10**6, 10**30, -(10**30)])
def test_s9_nonsense_is_refused_and_opens_no_basket(tmp_path: Path, quantity: int) -> None:
    till, world = a_till(tmp_path)
    before = len(world.entries())
    refused(OddQuantityError, lambda: till.selling.scan(MILK_CODE, quantity), lambda: till.selling.pick(MILK, quantity))
    assert len(world.entries()) == before


def test_s10_a_label_says_price_or_weight_and_no_finger_changes_it(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    priced = till.selling.scan(in_store("21", 345))
    assert (priced.amount_ore, priced.quantity_milli, priced.priced_by_label) == (3_450, 1_237, True)
    weighed = till.selling.scan(in_store("23", 755))
    assert (weighed.amount_ore, weighed.quantity_milli) == (2_106, 755)
    for code in (in_store("21", 345), in_store("23", 755)):
        for quantity in (10, 1000, 2000):
            with pytest.raises(NotPossibleNowError):
                till.selling.scan(code, quantity)
    with pytest.raises(OddQuantityError):
        till.selling.change(1, 100)


def test_s10_a_weight_on_a_pack_sold_by_the_piece_is_no_number_of_pieces(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    assert till.selling.scan(f"]C101{MILK_CODE:>014}3103003000").quantity_milli == 1000


def test_t3_a_basket_is_bounded(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    for _ in range(400):
        till.selling.pick(MILK)
    with pytest.raises(TooManyLinesError):
        till.selling.pick(MILK)
    assert till.checkout.pay("card", total(till)).kind == "done"


@pytest.mark.parametrize(
    "code", [MILK_CODE, BREAD_CODE, "nonsense", "", "\x00", "7310865004704", "9" * 2_500, "\ud800"]
)
def test_s2_nobody_sells_without_signing_in(tmp_path: Path, code: str) -> None:
    till, world = a_till(tmp_path)
    till.sign_out()
    before = len(world.entries())
    with pytest.raises(RefusedError):
        till.selling.scan(code)
    assert len(world.entries()) == before


# --- stopped at the scan -----------------------------------------------------------------------------------------------


def matrix(code: str, **fields: str) -> str:
    """A GS1 DataMatrix as a scanner sends it."""
    names = {"lot": "10", "best_before": "15", "use_by": "17"}
    return f"]d201{code:>014}" + "".join(f"{names[name]}{value}{GS}" for name, value in fields.items()).rstrip(GS)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (matrix(MILK_CODE, use_by="261121"), ExpiredError),
        (matrix(BREAD_CODE, lot="L13"), RecalledError),
        (matrix(BREAD_CODE, use_by="261121", lot="L13"), RecalledError),
    ],
)
def test_r24_t3_expired_and_recalled_goods_stop_at_the_scan(tmp_path: Path, code: str, error: type[Exception]) -> None:
    till, world = a_till(tmp_path)
    with pytest.raises(error):
        till.selling.scan(code)
    assert [body.reason for body in world.bodies(ScanRefused) if isinstance(body, ScanRefused)] == [error.__name__]
    assert world.bodies(LineAdded) == []
    till.selling.scan(matrix(MILK_CODE, use_by="261122"))
    with pytest.raises(error):
        till.selling.scan(code)
    assert len(till.desk.basket().standing()) == 1


@pytest.mark.parametrize(
    ("best_before", "percent", "reason"),
    [
        ("261201", 0, None),
        ("261124", 30, "near_date"),
        ("261123", 50, "near_date"),
        ("261120", 50, "best_before_passed"),
    ],
)
def test_r24_near_date_goods_are_marked_down_by_themselves(
    tmp_path: Path, best_before: str, percent: int, reason: str | None
) -> None:
    till, _ = a_till(tmp_path)
    line = till.selling.scan(matrix(MILK_CODE, best_before=best_before))
    assert line.markdown_percent == percent
    assert (till.selling.notice.reason if till.selling.notice is not None else None) == reason
    assert total(till) == 1_690 - (1_690 * percent + 50) // 100
    till.selling.scan(BREAD_CODE)
    assert till.selling.notice is not None, (
        "bread picked without its lot may be of the recalled one, and the cashier is told"
    )
    assert till.selling.notice.reason == "check_recall"
    till.selling.pick(BAG)
    assert till.selling.notice is None


def test_t3_what_has_no_price_today_is_not_sold(tmp_path: Path) -> None:
    old = an_article("2000", "Julmust", 1, prices=(Price("2026-01-01", 1_000, "2026-11-22T10:01"),))
    till, world = a_till(tmp_path, catalogue=Catalogue("t", "2026-11-01", (old,)))
    assert till.selling.pick("2000").amount_ore == 1_000
    world.clock.pass_ms(60_000)
    with pytest.raises(NoPriceError):
        till.selling.pick("2000")
    with pytest.raises(UnknownArticleError):
        till.selling.pick("\ud800" * 500)


def test_t3_nobody_too_young_buys_until_the_goods_are_off_or_the_card_is_looked_at_again(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    with pytest.raises(NotPossibleNowError):
        till.selling.check_age(passed=True)
    till.selling.pick(BEER)
    with pytest.raises(AgeNotCheckedError):
        till.checkout.pay("card", total(till))
    till.selling.check_age(passed=False)
    for _ in range(2):
        with pytest.raises(TooYoungError):
            till.checkout.pay("card", total(till))
    till.sign_out()
    till.sign_in(BO)
    with pytest.raises(TooYoungError):
        till.checkout.pay("card", total(till))
    again = world.start()
    again.sign_in(ALVA)
    with pytest.raises(TooYoungError):
        again.checkout.pay("card", total(again))
    again.selling.void(2)
    assert again.checkout.pay("card", total(again)).kind == "done"
    again.selling.pick(BEER)
    with pytest.raises(AgeNotCheckedError):
        again.checkout.pay("card", 1)
    again.selling.check_age(passed=False)
    again.selling.check_age(passed=True)
    assert again.checkout.pay("card", total(again)).kind == "done"
    checks = [(b.limit, b.passed, b.by) for b in world.bodies(AgeChecked) if isinstance(b, AgeChecked)]
    assert checks == [(18, False, 7), (18, False, 7), (18, True, 7)], "only limit, answer and who looked"


# --- changes and approvals --------------------------------------------------------------------------------------------


def test_s2_a_changed_line_takes_its_deposit_along(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.selling.pick(COLA)
    till.selling.change(1, 3000)
    assert total(till) == 3 * 1_450
    till.selling.void(1)
    assert till.desk.basket().standing() == []
    refused(
        NoSuchLineError,
        lambda: till.selling.void(1),
        lambda: till.selling.change(1, 1000),
        lambda: till.selling.void(99),
    )
    till.selling.pick(COLA)
    with pytest.raises(NotPossibleNowError):
        till.selling.void(4)


@pytest.mark.parametrize("quantity", [0, -1000, 1, 10**30])
def test_s9_a_line_is_not_changed_to_nonsense(tmp_path: Path, quantity: int) -> None:
    till, _ = a_till(tmp_path)
    till.selling.pick(COLA)
    with pytest.raises(OddQuantityError):
        till.selling.change(1, quantity)
    assert total(till) == 1_450


def test_s7_voids_above_the_limit_are_approved_and_say_by_whom(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK, 20_000)
    refused(NeedsApprovalError, lambda: till.selling.void(1), lambda: till.selling.change(1, 2000))
    with pytest.raises(NeedsApprovalError):
        till.selling.void(1, Staff(8, "cashier"))
    till.selling.change(1, 2000, BO)
    till.selling.void(1)
    changed, voided = world.bodies(LineChanged), world.bodies(LineVoided)
    assert [(b.by, b.approved_by) for b in changed if isinstance(b, LineChanged)] == [(7, 3)]
    assert [(b.by, b.approved_by) for b in voided if isinstance(b, LineVoided)] == [(7, 0)]


def test_s7_discounts_above_the_limit_are_approved(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(BREAD, 4000)  # 130.00
    with pytest.raises(NeedsApprovalError):
        till.selling.discount(0, 11, 0, "skadad")
    with pytest.raises(NeedsApprovalError):
        till.selling.discount(0, 0, 1_500, "skadad")
    till.selling.discount(0, 10, 0, "skadad")
    with pytest.raises(NeedsApprovalError):
        till.selling.discount(0, 10, 0, "skadad igen")
    with pytest.raises(NeedsApprovalError):
        till.selling.discount(1, 5, 0, "skadad igen")
    till.selling.discount(1, 5, 0, "skadad igen", BO)
    given = [(b.percent, b.by, b.approved_by) for b in world.bodies(DiscountGiven) if isinstance(b, DiscountGiven)]
    assert given == [(10, 7, 0), (5, 7, 3)]
    till.selling.withdraw_discount(1)
    with pytest.raises(NoSuchLineError):
        till.selling.withdraw_discount(1)
    assert total(till) == 12_350


def test_s7_a_discount_does_not_grow_when_the_basket_shrinks(tmp_path: Path) -> None:
    """A hundred kronor off a thousand is a tenth; with nine tenths of the goods taken off again it would be all."""
    till, _ = a_till(tmp_path)
    till.selling.pick(BREAD, 3000)
    till.selling.pick(CRISPS, 2000)
    till.selling.discount(0, 0, 900, "trogen kund")
    refused(
        NeedsApprovalError,
        lambda: till.selling.void(1),
        lambda: till.selling.change(1, 1000),
    )
    till.selling.void(2)
    till.selling.void(1, BO)


@pytest.mark.parametrize(
    ("percent", "ore", "reason"),
    [(0, 0, "x"), (101, 0, "x"), (-1, 0, "x"), (0, -1, "x"), (5, 5, "x"), (10, 0, ""), (10, 0, " \n\t ")],
)
def test_s9_discounts_of_nonsense_are_refused(tmp_path: Path, percent: int, ore: int, reason: str) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    with pytest.raises(NotPossibleNowError):
        till.selling.discount(0, percent, ore, reason, BO)
    for line, amount in ((0, 10**30), (0, 1_691), (1, 1_691)):
        with pytest.raises(DiscountTooLargeError):
            till.selling.discount(line, 0, amount, "x", BO)
    with pytest.raises(NoSuchLineError):
        till.selling.discount(9, 10, 0, "x", BO)
    assert world.bodies(DiscountGiven) == []


def test_p1_a_reason_is_one_printable_line(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.selling.pick(MILK)
    given = till.selling.discount(0, 5, 0, "skadad\x1b@\n" + "x" * 500 + "\ud800")
    assert given.reason.isprintable()
    assert len(given.reason) == 60


def test_s3_discounts_are_bounded_in_number(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.selling.pick(MILK)
    for _ in range(MOST_DISCOUNTS):
        till.selling.discount(0, 1, 0, "x", BO)
    with pytest.raises(TooManyDiscountsError):
        till.selling.discount(0, 1, 0, "x", BO)


def test_s5_pant_gets_no_discount(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.selling.pick(COLA)
    till.selling.discount(0, 100, 0, "gratis", BO)
    assert total(till) == 200
    with pytest.raises(NotPossibleNowError):
        till.selling.discount(2, 10, 0, "pant", BO)
    till.selling.pick("P200")
    with pytest.raises(DiscountTooLargeError):
        till.selling.discount(3, 10, 0, "pant", BO)


@pytest.mark.parametrize(
    "token", ["8112189876", "198112189876", "0701234567", "Åsa", "a b", "x" * 65, "4111111111111111", "\ud800"]
)
def test_s11_a_member_is_a_token_and_never_a_person(tmp_path: Path, token: str) -> None:
    till, world = a_till(tmp_path)
    with pytest.raises(NotPossibleNowError):
        till.selling.member(token)
    till.selling.member("M4711")
    till.selling.pick(MILK)
    assert total(till) == 1_490
    with pytest.raises(NotPossibleNowError):
        till.selling.member(token)
    till.selling.member("")
    assert total(till) == 1_690
    assert [b.token for b in world.bodies(MemberShown) if isinstance(b, MemberShown)] == ["M4711", ""]


# --- whole baskets ----------------------------------------------------------------------------------------------------


def test_s2_a_parked_basket_waits_and_another_is_sold(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    with pytest.raises(NoSuchSaleError):
        till.selling.park()
    till.selling.begin("sale")
    with pytest.raises(BasketEmptyError):
        till.selling.park()
    till.selling.pick(MILK)
    parked = till.selling.park()
    till.selling.pick(CRISPS, 3000)
    with pytest.raises(NotPossibleNowError):
        till.selling.resume(parked)
    assert till.checkout.pay("card", 5_000).kind == "done"
    for wrong in (0, -1, 99, 10**30):
        with pytest.raises(NoSuchSaleError):
            till.selling.resume(wrong)
    till.selling.resume(parked)
    with pytest.raises(BasketStateError):
        till.selling.resume(parked)
    assert total(till) == 1_690


def test_s2_parked_baskets_are_bounded(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    for _ in range(MOST_PARKED):
        till.selling.pick(MILK)
        till.selling.park()
    till.selling.pick(MILK)
    with pytest.raises(NotPossibleNowError):
        till.selling.park()
    till.drawer.z(BO)
    assert len(till.desk.state.baskets) == MOST_PARKED + 1, "closing the day is refused by nothing"


def test_s7_a_dear_basket_is_not_abandoned_alone(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(BREAD, 20_000)
    with pytest.raises(NeedsApprovalError):
        till.selling.abandon("kunden gick")
    till.selling.abandon("kunden gick\x00", BO)
    (body,) = world.bodies(SaleAbandoned)
    assert isinstance(body, SaleAbandoned)
    assert (body.amount_ore, body.by, body.approved_by, body.reason) == (65_000, 7, 3, "kunden gick·")
    with pytest.raises(NoSuchSaleError):
        till.selling.abandon("x")


def test_r27_an_open_basket_survives_sign_out_another_cashier_and_a_power_cut(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.selling.discount(0, 5, 0, "skadad")
    till.selling.member("M1")
    before = till.desk.basket()
    till.sign_out()
    with pytest.raises(NotSignedInError):
        till.selling.pick(MILK)
    till.sign_in(BO)
    assert till.desk.basket() == before
    again = world.start()
    with pytest.raises(NotSignedInError):
        again.desk.basket()
    again.sign_in(ALVA)
    assert again.desk.basket() == before
    assert again.checkout.pay("card", total(again)).kind == "done"


def test_r27_parked_baskets_survive_a_z_and_a_power_cut(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    parked = till.selling.park()
    till.selling.pick(CRISPS)
    till.drawer.z(BO)
    again = world.start()
    again.sign_in(ALVA)
    again.drawer.set_float(50_000)
    assert sorted(again.desk.state.baskets) == [parked, parked + 1], "the open one was parked by the Z"
    again.selling.resume(parked)
    assert again.checkout.pay("card", 1_690).number == 1


def test_s2_asking_a_price_sells_nothing(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    article, ore = till.selling.ask_price(MILK_CODE)
    assert (article.number, ore) == (MILK, 1_690)
    assert (world.bodies(SaleOpened), len(world.bodies(PriceAsked))) == ([], 1)


def test_s2_once_money_is_taken_the_goods_stand(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("card", 100)
    before = len(world.entries())
    acts: list[Callable[[], object]] = [
        lambda: till.selling.pick(MILK),
        lambda: till.selling.scan(MILK_CODE),
        lambda: till.selling.change(1, 2000),
        lambda: till.selling.void(1, BO),
        lambda: till.selling.discount(0, 10, 0, "x", BO),
        lambda: till.selling.withdraw_discount(1),
        lambda: till.selling.member("M1"),
        lambda: till.selling.check_age(passed=True),
        till.selling.park,
        lambda: till.selling.abandon("x", BO),
        lambda: till.drawer.z(BO),
    ]
    for act in acts:
        with pytest.raises((BasketStateError, NotPossibleNowError)):
            act()
    assert len(world.entries()) == before
    till.checkout.take_back(1)
    till.selling.pick(MILK)


def test_s2_a_basket_begins_as_a_sale_or_as_training_and_not_otherwise(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    for mode in ("return", "", "x"):
        with pytest.raises(AssertionError):
            till.selling.begin(mode)
    assert world.bodies(SaleOpened) == []
    till.selling.begin("training")
    with pytest.raises(NotPossibleNowError):
        till.selling.begin("sale")


def test_s1_goods_that_left_the_assortment_while_the_basket_was_open_are_sold_on(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.selling.pick(BANANA, 755)
    world.catalogue = Catalogue("t2", "2026-11-02", (an_article("9", "Annat", 1),))
    again = world.start()
    again.sign_in(ALVA)
    again.selling.change(1, 2000)
    assert total(again) == 3_380 + 2_106
    again.selling.change(2, 700)
    assert again.checkout.pay("card", total(again)).kind == "done"


def test_s10_a_member_gets_a_labels_price_in_proportion(tmp_path: Path) -> None:
    """Reference barcodes §2: member price on price-coded goods is a proportional factor, by the piece and by weight."""
    by_weight = an_article("1", "Ost", 10_000, unit="kg", scale_code="111111", member_ore=7_500)
    by_piece = an_article("2", "Paj", 5_000, scale_code="222222", member_ore=4_000)
    till, _ = a_till(tmp_path, catalogue=Catalogue("t", "2026-11-01", (by_weight, by_piece)))
    till.selling.member("M1")
    till.selling.scan(in_store("20", 3_333, "111111"))
    till.selling.scan(in_store("20", 4_000, "222222"))
    nets = [line.net_ore for line in till.desk.priced(till.desk.basket()).lines]
    assert nets == [2_500, 3_200]
