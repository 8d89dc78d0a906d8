"""QR codes drawn for screens and PDFs: SVG, PNG, or the bare matrix. ESC/POS printers draw their own.

Drawing a large code takes milliseconds, so a till's screen asks for it after the sale, never within one.
Leaves what a code says to `paper/electronic.py`.
"""

from __future__ import annotations

import io

import segno

from oppet.base.errors import RefusedError
from oppet.base.words import N_

__all__ = ["TooLongForACodeError", "matrix", "png", "svg"]

QUIET = 4  # modules of white around, as the standard asks


class TooLongForACodeError(RefusedError):
    sentence = N_("{length} characters are more than one QR code holds.")


def _made(text: str) -> segno.QRCode:
    try:
        return segno.make_qr(text, error="l", boost_error=False)
    except segno.DataOverflowError as error:
        raise TooLongForACodeError(length=len(text)) from error


def matrix(text: str) -> tuple[bytes, ...]:
    """Rows of modules, 1 for dark, without the quiet zone. Raises TooLongForACodeError, as all of these do."""
    return tuple(bytes(row) for row in _made(text).matrix)


def svg(text: str) -> str:
    """A drawing without size of its own, quiet zone included: dark on white, whatever is behind."""
    out = io.BytesIO()
    _made(text).save(out, kind="svg", border=QUIET, omitsize=True, xmldecl=False, light="#fff", dark="#000")
    return out.getvalue().decode("utf-8")


def png(text: str, scale: int = 4) -> bytes:
    """A picture with `scale` pixels a module."""
    out = io.BytesIO()
    _made(text).save(out, kind="png", border=QUIET, scale=scale)
    return out.getvalue()
