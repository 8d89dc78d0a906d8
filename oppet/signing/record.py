"""The printed record: who holds which key, what the root's digest is, how many must sign; no secret in it.

It is what the people of a ceremony sign with a pen, and what anybody compares with later.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oppet.base import canonical
from oppet.base.clock import utc_text
from oppet.drivers import files
from oppet.drivers.pdf import pages_pdf
from oppet.drivers.signing_keys import HOLDER
from oppet.paper.sheet import BLANK, RULE, Paper, Row
from oppet.signing.desk import Desk
from oppet.signing.telling import fingerprint, pace_lines

__all__ = ["record_lines", "write_record"]


def record_lines(desk: Desk, now: int) -> list[str]:
    """The record of a repository as it is published now."""
    repository = desk.repository
    version = repository.version("root")
    digest = canonical.digest(repository.root_bytes(version))
    lines = [
        f"Record of repository {desk.name}, {utc_text(now)[:16].replace('T', ' ')} UTC",
        f"Root {version}, sha256 {digest}, good until {repository.root.expires:%Y-%m-%d}",
    ]
    for role in ("root", *repository.roles(), "snapshot", "timestamp"):
        above = repository.root if role in ("root", "targets", "snapshot", "timestamp") else repository.targets
        held = above.get_delegated_role(role)
        lines.append(f"{role}: {held.threshold} of {len(held.keyids)}")
        for keyid in held.keyids:
            who = above.get_key(keyid).unrecognized_fields.get(HOLDER)
            lines.append(f"  {who or 'the service'}: {fingerprint(keyid)}")
    if repository.pace is not None:
        lines += ["pace:", *(f"  {line}" for line in pace_lines(repository.pace))]
    return lines


def write_record(file: Path, lines: Sequence[str]) -> None:
    """Write the record as PDF, or as text where the file's name does not end in .pdf, with lines for pens."""
    if file.suffix.lower() != ".pdf":
        files.write(file, "\n".join([*lines, "", "Present, with date and signature:", *("_" * 40,) * 4, ""]).encode())
        return
    pens = [Row("", style="write") for _ in range(4)]
    rows = (
        Row(lines[0], style="title"), RULE, *(Row(line) for line in lines[1:]), BLANK,
        Row("Present, with date and signature:"), *pens,
    )  # fmt: skip
    files.write(file, pages_pdf((Paper(lines[0], rows),)))
