"""A machine's TLS certificate: made once, its own, and known by its digest alone."""

from __future__ import annotations

import datetime
import stat
from pathlib import Path

import pytest
from cryptography import x509

from oppet.drivers.tls import CertificateUnfitError, digest_of, load_or_make, server_context


def test_k16_a_certificate_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "tls.pem"
    digest = load_or_make(path, "10.0.0.7")
    assert digest == load_or_make(path) == digest_of(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_make(tmp_path / "other.pem") != digest
    assert server_context(path) is not None


def test_k16_it_lasts_longer_than_any_machine_and_names_where_it_answers(tmp_path: Path) -> None:
    path = tmp_path / "tls.pem"
    load_or_make(path, "10.0.0.7")
    made = x509.load_pem_x509_certificate(path.read_bytes())
    years = (made.not_valid_after_utc - datetime.datetime.now(datetime.UTC)).days // 365
    assert years >= 19
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["localhost", "127.0.0.1", "10.0.0.7"]


@pytest.mark.parametrize("harm", ["rubbish", "open"])
def test_k16_a_file_that_is_no_certificate_or_that_others_read_is_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "tls.pem"
    load_or_make(path)
    if harm == "rubbish":
        path.write_bytes(b"rubbish")
    else:
        path.chmod(0o644)
    with pytest.raises(CertificateUnfitError):
        load_or_make(path)
