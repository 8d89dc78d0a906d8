"""One checkout, put together: what a page, a replay, a test or the simulated chain drives.

`desk` holds journal and state; `selling`, `checkout`, `returns`, `drawer` are what a cashier does. Starting settles
what the last run left between two steps before anything else happens.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import asdict

from oppet import __version__
from oppet.base import canonical
from oppet.base.words import N_
from oppet.journal.kinds import EpochOpened, SettingChanged, SignedIn, SignedOut, TillStarted, TillStopped
from oppet.paper.sheet import Say
from oppet.payments.means import KRONA
from oppet.register.checkout import Checkout, Outcome
from oppet.register.desk import Desk, Rules
from oppet.register.drawer import Drawer, Reserve
from oppet.register.errors import EpochOverError, NotPossibleNowError
from oppet.register.ports import Ports
from oppet.register.printing import Coder, Printing
from oppet.register.returns import FindReceipt, Returns
from oppet.register.selling import Selling
from oppet.register.tenders import Tenders
from oppet.sale import basket as baskets
from oppet.sale.rights import Staff

__all__ = ["Till"]


class Till:
    def __init__(
        self, ports: Ports, rules: Rules, say: Say, code: Coder, by_code: FindReceipt, coin_ore: int = KRONA
    ) -> None:
        self.desk = Desk(ports, rules)
        self.printing = Printing(self.desk, say, code)
        self.selling = Selling(self.desk)
        self.checkout = Checkout(self.desk, self.printing, coin_ore)
        self.returns = Returns(self.desk, by_code)
        self.drawer = Drawer(self.desk, self.printing)
        self.reserve = Reserve(self.desk)
        self.tenders = Tenders(self.desk, self.checkout, self.returns, self.printing)

    def start(self, opening: EpochOpened) -> Outcome | None:
        """Begin a run: `opening` is the first entry of a new epoch's journal and is written once. Settles what was
        left.

        Gives what became of a registration the last run left; None when it left none. Raises OldImageError,
        ForkedError or EpochRevokedError with nothing written, where a keeper shows it.
        """
        desk = self.desk
        if desk.state.closed:
            raise EpochOverError(till=desk.ports.journal.till, epoch=desk.ports.journal.epoch)
        confirmed = desk.ports.copies.confirm(desk.ports.journal.head)
        unconfirmed = not confirmed and desk.state.identity is not None  # a journal that is new is no old copy
        if desk.state.identity is None:
            desk.write(opening)
        unclean = desk.state.runs > 0 and not desk.state.stopped
        prices = desk.ports.catalogue.version
        started = TillStarted(__version__, prices, desk.ports.installation, unclean, unconfirmed)
        desk.write(started, *self._changed_settings())
        outcome = self.checkout.resume()
        self.tenders.resume()
        return outcome

    def _changed_settings(self) -> Iterator[SettingChanged]:
        """What is set otherwise than when the till last started: behandlingshistorik (BFL 5:11). By 0: in the file, not here."""
        ports, before = self.desk.ports, self.desk.state.settings
        now = {f"limits.{name}": str(value) for name, value in asdict(self.desk.rules.limits).items()}
        now |= {f"risk.{name}": str(value) for name, value in asdict(self.desk.rules.risk).items()}
        now |= {f"vouchers.{name}": str(value) for name, value in asdict(self.desk.rules.vouchers).items()}
        apart = ("limits", "risk", "vouchers")
        now |= {name: str(value) for name, value in asdict(self.desk.rules).items() if name not in apart}
        if ports.invoices is not None:  # every limit in it: a digest says that one was changed
            listed = canonical.encode(dict(sorted(ports.invoices.items())))
            now["invoice_customers"] = f"{len(ports.invoices)}, {canonical.digest(listed)[:12]}"
        now["payment_paths"] = ", ".join(path.name for path in ports.payments) or "–"
        now["units"] = ", ".join(unit.unit for unit in ports.units) or "–"
        now["receipt_paths"] = ", ".join(path.name for path in ports.paths) or "–"
        for name in sorted(now | before):
            if now.get(name, "") != before.get(name, ""):
                yield SettingChanged(name, before.get(name, ""), now.get(name, ""), 0)

    def sign_in(self, staff: Staff) -> None:
        """The caller has proven who this is (`staff.py`). Whoever was signed in is signed out; the basket stays
        (R27).
        """
        desk = self.desk
        desk.ready()
        gone = (SignedOut(desk.state.staff),) if desk.state.staff else ()
        desk.write(*gone, SignedIn(staff.number, staff.role))

    def sign_out(self) -> None:
        """Nothing is lost: the open basket waits for whoever comes next (R27)."""
        desk = self.desk
        desk.ready()
        staff = desk.staff()
        basket = desk.state.baskets.get(desk.state.current)
        if basket is not None and basket.state not in (baskets.OPEN, baskets.PAYING):
            raise NotPossibleNowError(action=N_("Signing out"), why=N_("a sale is being registered"))
        desk.write(SignedOut(staff.number))

    def stop(self) -> None:
        """End the run in order: a snapshot, so that the next start is quick. Raises UnavailableError if the disk has
        failed.
        """
        self.desk.ready()
        self.desk.write(TillStopped())
        self.desk.save()
