"""The terminal's driver against a terminal that is a process of its own and shares no line with us."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oppet.base.errors import SettingsError
from oppet.drivers.serving import PortTakenError
from oppet.drivers.terminal_line import LARGEST_ANSWER, NoAnswerError, NotSentError, Pin, TerminalLine
from oppet.drivers.terminal_nexo import NexoTerminal
from oppet.drivers.tls import load_or_make, server_context
from oppet.payments.nexo_crypto import NexoKey, derive, encrypt
from oppet.payments.pan import card_numbers
from tests.drivers.terminals import FAST, KEY, QUICK, Stand, a_stand, about, had, pay, until


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with a_stand(tmp_path_factory.mktemp("terminal")) as stand:
        yield stand


@pytest.fixture
def stand(both: Stand) -> Stand:
    both.reset()
    return both


@pytest.fixture
def path(stand: Stand) -> Iterator[NexoTerminal]:
    made = stand.path()
    yield made
    made.close()


# --- the normal road


def test_pt1_a_card_payment_is_approved_with_its_evidence_and_receipts(stand: Stand, path: NexoTerminal) -> None:
    before = stand.net_ore()
    work = pay(12_345)
    answer = had(path, work)
    assert (answer.outcome, answer.amount_ore) == ("approved", 12_345)
    evidence = answer.evidence
    assert evidence is not None
    assert (evidence.how, len(evidence.card), evidence.offline) == ("chip_pin", 4, False)
    assert evidence.reference
    assert evidence.time
    assert evidence.approval
    assert stand.net_ore() - before == 12_345
    slips = path.slips(work.request)
    assert {slip.whose for slip in slips} == {"CashierReceipt", "CustomerReceipt"}
    assert any("123,45 SEK" in right for slip in slips for _, right in slip.lines)
    back = had(path, about(work, "reversal", original=evidence))
    assert (back.outcome, back.amount_ore) == ("reversed", 12_345)
    assert stand.net_ore() == before


def test_pt8_an_answer_rings_for_whoever_waits_for_it(path: NexoTerminal) -> None:
    rung = threading.Event()
    path.bell = rung.set
    path.send(pay())
    assert rung.wait(10)
    assert len(path.heard()) == 1


def test_pt1_a_refund_goes_the_other_way_and_a_part_is_a_part(stand: Stand, path: NexoTerminal) -> None:
    before = stand.net_ore()
    assert had(path, pay(5_000, what="refund", back=True)).outcome == "approved"
    assert stand.net_ore() - before == -5_000
    stand.terminal.tell(plan=[{**QUICK, "card": "low"}])
    part = had(path, pay(50_000))
    assert (part.outcome, part.amount_ore) == ("partial", 10_000)


@pytest.mark.parametrize(
    ("gesture", "why"),
    [
        ({"card": "declined"}, "Refusal"), ({"pin": "wrong", "wrong_pins": 3}, "WrongPIN"), ({"pull": "card"}, "Cancel"),
        ({"pin": "cancel"}, "Cancel"),
    ],
)  # fmt: skip
def test_pt1_what_the_terminal_declines_is_declined(
    stand: Stand, path: NexoTerminal, gesture: dict[str, Any], why: str
) -> None:
    before = stand.net_ore()
    stand.terminal.tell(plan=[QUICK | gesture])
    answer = had(path, pay())
    assert (answer.outcome, answer.why) == ("declined", why)
    assert stand.net_ore() == before


def test_pt2_a_payment_is_stopped_and_its_own_answer_says_so(stand: Stand) -> None:
    stand.terminal.tell(auto=None)
    path = stand.path(payment_timeout_s=10.0)
    try:
        work = pay()
        path.send(work)
        until(lambda: stand.terminal.state()["dialogue"])
        assert path.progress(work.request).stage == "present_card"  # type: ignore[union-attr]
        path.send(about(work, "abort"))
        answers = [*until(path.heard)]
        while len(answers) < 2:
            answers += until(path.heard)
        outcomes = {answer.what: (answer.outcome, answer.why) for answer in answers}
        assert outcomes == {"abort": ("approved", ""), "payment": ("declined", "Aborted")}
    finally:
        path.close()


def test_pt6_without_its_line_the_terminal_approves_alone_only_where_it_may(stand: Stand, path: NexoTerminal) -> None:
    stand.terminal.tell(host="cut")
    assert had(path, pay()).why == "UnreachableHost"
    answer = had(path, pay(offline=True))
    assert (answer.outcome, answer.amount_ore) == ("accepted_at_risk", 1_690)
    assert answer.evidence is not None
    assert (answer.evidence.offline, answer.evidence.waiting) == (True, 1)
    stand.terminal.tell(host="ok")
    until(lambda: not stand.terminal.state()["stored"])


def test_pt1_a_terminal_that_wants_a_login_gets_one(stand: Stand) -> None:
    stand.terminal.tell(login=True)
    path = stand.path(login=True)
    try:
        assert had(path, pay()).outcome == "approved"
    finally:
        path.close()
        stand.terminal.tell(login=False)


# --- nobody knows


def test_pt2_a_lost_answer_is_asked_for_and_found(stand: Stand, path: NexoTerminal) -> None:
    before = stand.net_ore()
    stand.terminal.tell(fault="drop", on="Payment")
    work = pay()
    assert had(path, work).outcome == "silent"
    found = had(path, about(work, "status"))
    assert (found.outcome, found.amount_ore) == ("approved", 1_690)
    assert stand.net_ore() - before == 1_690
    assert path.slips(work.request)


def test_pt2_not_found_counts_only_after_two_minutes_at_a_terminal_that_remembers(stand: Stand) -> None:
    first = stand.path()
    witness, lost = pay(), pay()
    assert had(first, witness).outcome == "approved"
    stand.terminal.tell(fault="drop_request", on="Payment")
    assert had(first, lost).outcome == "silent"
    first.close()
    restarted = stand.path()  # it has seen nothing itself
    try:
        early = had(restarted, about(lost, "status", witness=witness.request))
        assert (early.outcome, early.why) == ("in_progress", "not_found")
        stand.clock.ahead_ms += 121_000
        for unknown in ("T999999999", "", lost.request):
            assert had(restarted, about(lost, "status", witness=unknown)).outcome == "in_progress"
        assert had(restarted, about(lost, "status", witness=witness.request)).outcome == "not_found"
    finally:
        restarted.close()


def test_pt2_a_terminal_that_was_never_switched_off_needs_no_witness(stand: Stand) -> None:
    path = stand.path(probe=True, tempo=FAST)
    try:
        until(lambda: path.now().state == "working")
        stand.terminal.tell(fault="drop_request", on="Payment")
        lost = pay()
        assert had(path, lost).outcome == "silent"
        stand.clock.ahead_ms += 121_000
        assert had(path, about(lost, "status")).outcome == "not_found"
        stand.terminal.tell(fault="drop_request", on="Payment")
        lost = pay()
        until(lambda: path.now().state == "working")
        assert had(path, lost).outcome == "silent"
        stand.terminal.tell(power="off", forget="transactions")  # and now it was
        stand.terminal.tell(power="on")
        stand.clock.ahead_ms += 121_000
        assert had(path, about(lost, "status")).outcome == "in_progress"
    finally:
        path.close()


def test_pt2_a_plug_pulled_after_the_bank_has_approved(stand: Stand, path: NexoTerminal) -> None:
    before = stand.net_ore()
    stand.terminal.tell(plug={"at": "approved", "on": "Payment", "back_s": 0.1})
    work = pay()
    assert had(path, work).outcome == "silent"
    until(lambda: stand.terminal.state()["power"] == "on")
    answer = had(path, about(work, "status"))
    # a terminal that forgot the approval takes the money back by itself, a moment later
    until(lambda: stand.net_ore() - before == {"approved": 1_690, "declined": 0}[answer.outcome])


def test_pt4_a_reversal_without_a_reference_is_refused_here(path: NexoTerminal) -> None:
    assert had(path, about(pay(), "reversal")).outcome == "declined"


# --- whose word


@pytest.mark.parametrize(
    "fault",
    ["wrong_mac", "wrong_key", "wrong_header", "wrong_reference", "wrong_sale", "wrong_terminal", "wrong_transaction", "wrong_currency",
     "wrong_amount", "unencrypted", "html", "garbage", "empty", "status_500", "truncate"],
)  # fmt: skip
def test_pt5_an_approval_that_is_not_proved_is_silence_and_the_query_finds_it(
    stand: Stand, path: NexoTerminal, fault: str
) -> None:
    stand.terminal.tell(fault=fault, on="Payment")
    work = pay()
    answer = had(path, work)
    assert (answer.outcome, answer.evidence, answer.amount_ore) == ("silent", None, 0)
    assert had(path, about(work, "status")).outcome == "approved"
    alarmed = {"wrong_mac", "wrong_key", "wrong_header", "wrong_reference", "wrong_sale", "wrong_terminal"}
    assert [one.about for one in path.warnings()] == ["terminal_forged"] * (fault in alarmed)


def test_pt5_another_terminals_certificate_gets_not_one_byte(stand: Stand, path: NexoTerminal) -> None:
    before = stand.terminal.state()["counts"]
    stand.terminal.tell(certificate="other")
    answer = had(path, pay())
    assert (answer.outcome, answer.why) == ("not_now", "certificate")
    assert [one.about for one in path.warnings()] == ["terminal_certificate"]
    assert stand.terminal.state()["counts"] == before
    had(path, pay())
    assert path.warnings() == [], "once an hour is enough"


def test_pt5_a_root_a_name_and_an_environment_may_be_pinned_instead(stand: Stand) -> None:
    root = Path(stand.terminal.ready["root"])
    ready = stand.terminal.ready
    for more, outcome in (
        ({"pin": ready["root_sha256"], "root": root}, "approved"),
        ({"pin": "", "root": root}, "approved"),
        ({"environment": "live"}, "not_now"),
        ({"pin": ready["certificate_sha256"], "environment": ""}, "approved"),
        ({"poi": "P400Plus-111111111"}, "not_now"),
        ({"pin": "00" * 32}, "not_now"),
    ):
        path = stand.path(**more)
        try:
            assert had(path, pay()).outcome == outcome
        finally:
            path.close()
    stand.terminal.tell(certificate="other")  # signed by another root
    path = stand.path(pin="", root=root)
    try:
        assert had(path, pay()).why == "certificate"
    finally:
        path.close()


@pytest.mark.parametrize("more", [{"pin": ""}, {"pin": "ab"}, {"root": Path("nowhere.pem")}])
def test_pt5_a_pin_that_cannot_be_is_refused_at_the_start(stand: Stand, more: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        stand.path(**more)
    with pytest.raises(SettingsError):
        Pin("x", digest="00" * 32, root=Path(stand.terminal.ready["root"]), environment="test")
    with pytest.raises(SettingsError):
        Pin("x", root=Path(stand.terminal.ready["root"]))


def test_pt5_another_key_opens_nothing(stand: Stand) -> None:
    path = stand.path(key=derive("oppet-key", 1, "another passphrase"))
    try:
        assert had(path, pay()).outcome == "not_now"  # it could not even say whether it is idle
    finally:
        path.close()


def test_pt7_a_card_number_in_an_answer_is_nowhere_the_outcome_is_kept_and_the_alarm_goes(
    stand: Stand, path: NexoTerminal
) -> None:
    stand.terminal.tell(fault="pan", on="Payment")
    work = pay()
    answer = had(path, work)
    assert answer.outcome == "approved"
    alarms = path.warnings()
    assert {one.about for one in alarms} == {"terminal_card_data"}
    kept = repr((answer, alarms, path.slips(work.request), path.progress(work.request)))
    assert list(card_numbers(kept)) == []


# --- how far the customer is


def post_to(url: str, data: bytes) -> int:
    """What is answered to these bytes."""
    port = int(url.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/", data)
        return connection.getresponse().status
    finally:
        connection.close()


def a_notice(stand: Stand, event: str, key: NexoKey = KEY) -> bytes:
    """A display notification, sealed."""
    header = {
        "MessageClass": "Device",
        "MessageCategory": "Display",
        "SaleID": "null",
        "POIID": stand.terminal.ready["poi"],
    }
    content = {"PredefinedContent": {"ReferenceID": f"TransactionID=T1&event={event}"}}
    said = {"MessageHeader": header, "DisplayRequest": {"DisplayOutput": [{"OutputContent": content}]}}
    return encrypt(msgspec.json.encode({"SaleToPOIRequest": said}), key, bytes(16))


def test_pt1_display_notifications_are_progress_and_never_money(stand: Stand) -> None:
    stand.terminal.tell(auto=None)
    path = stand.path(payment_timeout_s=20.0, notices_port=0)
    try:
        work = pay()
        path.send(work)
        until(lambda: stand.terminal.state()["dialogue"])
        for event, stage in (("WAIT_FOR_PIN", "pin"), ("PIN_ENTERED", "online"), ("TENDER_FINAL", "waiting")):
            assert post_to(path.notices_url, a_notice(stand, event)) == 200
            assert path.progress(work.request).stage == stage  # type: ignore[union-attr]
        assert path.heard() == []
        stranger = a_notice(stand, "WAIT_FOR_PIN", derive("oppet-key", 1, "another passphrase"))
        assert [post_to(path.notices_url, data) for data in (b"{}", stranger, b"", b"x" * 70_000)] == [
            400,
            400,
            411,
            413,
        ]
        assert path.progress(work.request).stage == "waiting"  # type: ignore[union-attr]
        with pytest.raises(PortTakenError):
            stand.path(notices_port=int(path.notices_url.rstrip("/").rpartition(":")[2]))
        path.send(about(work, "abort"))
        until(lambda: any(answer.what == "payment" for answer in path.heard()))
    finally:
        path.close()


# --- one at a time


def test_r25_a_terminal_with_an_open_dialogue_takes_no_other_customers_payment(stand: Stand) -> None:
    stand.terminal.tell(auto=None)
    before, other = stand.path(payment_timeout_s=10.0), stand.path()
    try:
        stale = pay(99_900)
        before.send(stale)
        until(lambda: stand.terminal.state()["dialogue"])
        answer = had(other, pay())
        assert (answer.outcome, answer.why) == ("not_now", "Busy")
        assert not any("while" in one for one in stand.terminal.state()["violations"]), "nothing was sent to it"
        before.send(about(stale, "abort"))
        until(lambda: not stand.terminal.state()["dialogue"])
    finally:
        before.close()
        other.close()


def test_pt8_the_board_sees_the_terminal_go_and_come_back(stand: Stand) -> None:
    path = stand.path(probe=True, tempo=FAST)
    try:
        until(lambda: path.now().state == "working")
        stand.terminal.tell(host="cut")
        until(lambda: path.now().state == "down")
        assert path.now().offline, "it may still approve alone"
        stand.terminal.tell(power="off")
        until(lambda: not path.now().offline)
        stand.terminal.tell(power="on", host="ok")
        stand.clock.ahead_ms += 60_000
        until(lambda: path.now().state == "working")
    finally:
        path.close()


def test_pt1_closing_ends_a_payment_under_way(stand: Stand) -> None:
    stand.terminal.tell(auto=None)
    path = stand.path(payment_timeout_s=60.0)
    work = pay()
    path.send(work)
    until(lambda: stand.terminal.state()["dialogue"])
    begun = time.monotonic()
    path.close()
    assert time.monotonic() - begun < 5
    assert [answer.outcome for answer in path.heard()] == ["silent"]
    path.send(pay())
    assert [answer.outcome for answer in path.heard()] == ["silent"]
    stopper = stand.path()
    stopper.send(about(work, "abort"))
    until(lambda: not stand.terminal.state()["dialogue"])
    stopper.close()


# --- the cable


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    file = tmp_path_factory.mktemp("line") / "tls.pem"
    return file, load_or_make(file)


def served(certificate: Path, said: bytes, *, wait_s: float = 0.0) -> int:
    """A peer that reads one request and says these bytes; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = server_context(certificate)

    def run() -> None:
        with listener:
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as peer:
                    peer.recv(1 << 16)
                    time.sleep(wait_s)
                    peer.sendall(said)
            except OSError:
                pass
            finally:
                plain.close()

    threading.Thread(target=run, daemon=True).start()
    return int(listener.getsockname()[1])


HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "with its length": HEAD + b"Content-Length: 4\r\n\r\nabcd",
    "in pieces": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2;x=y\r\ncd\r\n0\r\n\r\n",
    "said twice": (HEAD + b"Content-Length: 4\r\n\r\nabcd") * 2,
}
NOT_WHOLE = {
    "no length": HEAD + b"\r\nabcd",
    "too long": HEAD + b"Content-Length: 100000000\r\n\r\n",
    "a long head": HEAD + b"X: " + b"y" * 40_000,
    "a piece without a size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a piece without an end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc",
    "pieces without end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"80000\r\n" + b"x" * 0x80000 + b"\r\n") * 4,
    "half": HEAD + b"Content-Length: 4\r\n\r\nab",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("said", WHOLE.values(), ids=WHOLE.keys())
def test_pt5_a_whole_answer_is_read(certificate: tuple[Path, str], said: bytes) -> None:
    line = TerminalLine("127.0.0.1", served(certificate[0], said), Pin("x", digest=certificate[1]), 2.0)
    try:
        assert line.exchange("/nexo", b"{}", 2.0) == (200, b"abcd")
    finally:
        line.close()


@pytest.mark.parametrize("said", NOT_WHOLE.values(), ids=NOT_WHOLE.keys())
def test_pt5_anything_but_a_whole_answer_is_none(certificate: tuple[Path, str], said: bytes) -> None:
    line = TerminalLine("127.0.0.1", served(certificate[0], said), Pin("x", digest=certificate[1]), 2.0)
    with pytest.raises(NoAnswerError):
        line.exchange("/nexo", b"{}", 2.0)
    assert not line.well


def test_pt5_an_answer_that_comes_too_late_is_none(certificate: tuple[Path, str]) -> None:
    port = served(certificate[0], WHOLE["with its length"], wait_s=0.3)
    line = TerminalLine("127.0.0.1", port, Pin("x", digest=certificate[1]), 2.0)
    with pytest.raises(NoAnswerError):
        line.exchange("/nexo", b"{}", 0.1)


def test_pt5_where_nobody_answers_nothing_was_sent(certificate: tuple[Path, str]) -> None:
    pin = Pin("x", digest=certificate[1])
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        with pytest.raises(NotSentError):
            TerminalLine("127.0.0.1", port, pin, 0.1)  # it accepts, and never says hello
    with pytest.raises(NotSentError):
        TerminalLine("127.0.0.1", port, pin, 0.5)
    assert LARGEST_ANSWER <= 1 << 20
