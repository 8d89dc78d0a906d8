"""What a till asks the store node: about the other tills' parked baskets (R27) and returned receipts (R17), and about gift cards (PT10).

A request is signed by the till and an answer by the node, so neither needs the cable to be honest. What is asked for
is small and bounded. The node's rulings are a fold of the journals it keeps and of what it has granted
(`store/lanes.py`); a till that gets no answer sells on by its own rules.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base import canonical
from oppet.base.signing import Signer, Verifier
from oppet.journal.kinds import ReceiptTender
from oppet.payments import swish
from oppet.payments.giftcard import GiftVerdict
from oppet.sync.messages import Epoch, Name, Number, Signature, Time

__all__ = [
    "LANE_PATH",
    "Ask",
    "AskGift",
    "AskHold",
    "AskParked",
    "AskResume",
    "AskRisk",
    "AskSpend",
    "AskSwish",
    "AskTake",
    "Came",
    "Gone",
    "Lane",
    "ParkedBasket",
    "Refused",
    "Signed",
    "Told",
    "check",
    "sign",
]

LANE_PATH = "/lane/1/ask"
LARGEST_LANE = 1 << 20
OLDEST_MS = 300_000  # a request is not answered twice long after: what it grants is idempotent within this


class AskParked(msgspec.Struct, frozen=True, tag="parked"):
    """Which baskets are parked at the store's other tills, and which of mine went on elsewhere?"""


class AskTake(msgspec.Struct, frozen=True, tag="take"):
    """Give me this one. Granting it twice to the same till is the same grant."""

    till: Name
    epoch: Epoch
    sale: Number


class AskResume(msgspec.Struct, frozen=True, tag="resume"):
    """May my own parked basket go on here?"""

    sale: Number


class AskHold(msgspec.Struct, frozen=True, tag="hold"):
    """I return on this receipt; what came back of it elsewhere? Held until the return is finished or given up."""

    till: Name
    epoch: Epoch
    number: Number


Request = Annotated[str, Meta(max_length=40, pattern=r"^[0-9A-Za-z-]*\Z")]


class AskGift(msgspec.Struct, frozen=True, tag="gift"):
    """A payment from a gift card, money back to one, or what became of either. Asked twice it is the same question."""

    what: Annotated[str, Meta(max_length=16)]  # payment, refund, reversal, status; probe: are you there?
    request: Request
    card: Annotated[str, Meta(pattern=r"^[0-9a-f]{0,32}\Z")]
    amount_ore: Annotated[int, Meta(ge=0, le=10_000_000_000)]
    about: Request
    reverses: bool = False


class AskSpend(msgspec.Struct, frozen=True, tag="spend"):
    """I take this pant voucher. Granting it twice to the same till is the same grant."""

    voucher: Annotated[str, Meta(pattern=r"^PV[0-9]{8,32}\Z")]


class AskSwish(msgspec.Struct, frozen=True, tag="swish"):
    """A call to Swish, which the node alone can make. The same `call` again asks what came of it; the node never waits."""

    what: Annotated[str, Meta(pattern=r"^(board|pay|see|cancel|give|see_back)\Z")]
    call: Annotated[int, Meta(ge=0, le=1 << 62)] = 0
    request: Annotated[str, Meta(pattern=r"^([0-9A-F]{32})?\Z")] = ""
    amount_ore: Annotated[int, Meta(ge=0, le=10_000_000_000)] = 0
    reference: Annotated[str, Meta(max_length=35, pattern=r"^[0-9A-Z]*\Z")] = ""  # ours
    original: Annotated[str, Meta(max_length=64, pattern=r"^[0-9A-Za-z-]*\Z")] = (
        ""  # of a refund: Swish's paymentReference
    )
    sale: Annotated[int, Meta(ge=0, le=1 << 53)] = 0


class AskRisk(msgspec.Struct, frozen=True, tag="risk"):
    """How much did the store's other tills take at risk today? Every answer says it; this one says nothing else."""


Ask = AskParked | AskTake | AskResume | AskHold | AskGift | AskSpend | AskSwish | AskRisk


class Lane(msgspec.Struct, frozen=True):
    """One question of one till, as it is signed."""

    till: Name
    epoch: Epoch
    time: Time
    nonce: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    ask: Ask


class ParkedBasket(msgspec.Struct, frozen=True):
    till: str
    epoch: int
    sale: int
    since: str
    lines: int
    total_ore: int  # before discounts
    by: int


class Came(msgspec.Struct, frozen=True):
    """What came back of one line of the original."""

    line: int
    quantity_milli: int
    amount_ore: int
    net_ore: int


class Gone(msgspec.Struct, frozen=True):
    """A basket of the asking till's that was given to another one, and that its journal still calls parked."""

    sale: int
    till: str
    epoch: int


class Refused(msgspec.Struct, frozen=True, omit_defaults=True):
    why: str  # taken | finished | held | spent | unknown
    by: str = ""  # the other till
    epoch: int = 0  # and its epoch


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """The node's answer to the request with this nonce; one of the fields is set."""

    nonce: str
    parked: tuple[ParkedBasket, ...] | None = None
    gone: tuple[Gone, ...] = ()  # beside `parked`
    entries: tuple[str, ...] | None = None  # whole entries, as journalled, of a basket that was given
    came: tuple[Came, ...] | None = None
    paid: tuple[
        ReceiptTender, ...
    ] = ()  # beside `came`: how the original was paid, for money that goes back the same way
    gift: GiftVerdict | None = None
    swish: swish.Verdict | None = None
    at_risk_ore: int | None = None  # beside all of them but `swish`: what the store's other tills took at risk today
    granted: bool = False
    refused: Refused | None = None


class Signed(msgspec.Struct, frozen=True):
    """A text and who signed it: the till's key for a Lane, the node's for a Told."""

    text: Annotated[str, Meta(max_length=LARGEST_LANE)]
    signature: Signature


def sign(value: Lane | Told, signer: Signer) -> Signed:
    """Write it down and sign it."""
    text = canonical.encode(value).decode()
    return Signed(text, signer.sign(b"oppet lane 1\n" + text.encode()).hex())


def check(signed: Signed, key: bytes) -> bool:
    """Whether this key signed it. Raises nothing: a wrong signature is False."""
    return Verifier(key).good(bytes.fromhex(signed.signature), b"oppet lane 1\n" + signed.text.encode())
