"""Who may write in whose name: certificates, countersignatures, revocations."""

from __future__ import annotations

from itertools import permutations

import pytest

from oppet.base.signing import Signer
from oppet.sync.certificates import (
    Directory,
    Revocation,
    StoreCertificate,
    TillCertificate,
    countersigned,
    make_paper,
)
from oppet.sync.errors import BadCertificateError
from tests.sync.chain import HQ, MANAGER, NODE, OTHER, TILL, WHEN, a_directory

CLEO = Signer(bytes([66]) * 32)
K3 = TillCertificate("S01-K3", 1, "S01", "K3", CLEO.public.hex(), WHEN)


def test_k7_a_till_is_known_by_the_managers_signature_alone() -> None:
    directory = a_directory()
    for signers in ((), (CLEO,), (NODE,), (HQ,), (TILL, OTHER)):
        with pytest.raises(BadCertificateError):
            directory.add(make_paper(K3, *signers))
        assert directory.standing("S01-K3", 1) is None


def test_k7_a_store_is_known_by_hqs_signature_alone() -> None:
    directory = Directory(HQ.public)
    with pytest.raises(BadCertificateError):
        directory.add(
            make_paper(StoreCertificate("S02", "x", "y", CLEO.public.hex(), CLEO.public.hex(), WHEN), MANAGER)
        )
    assert directory.stores == {}


def test_k7_an_epochs_key_is_never_another_one() -> None:
    directory = a_directory()
    with pytest.raises(BadCertificateError):
        directory.add(make_paper(TillCertificate("S01-K1", 1, "S01", "K1", CLEO.public.hex(), WHEN), MANAGER, HQ))
    standing = directory.standing("S01-K1", 1)
    assert standing is not None
    assert standing.public_key == TILL.public


@pytest.mark.parametrize("witness", [HQ, TILL])
def test_k8_a_till_is_provisional_until_hq_or_a_surviving_till_countersigns(witness: Signer) -> None:
    directory = a_directory()
    paper = make_paper(K3, MANAGER)
    directory.add(paper)
    standing = directory.standing("S01-K3", 1)
    assert standing is not None
    assert standing.provisional
    assert directory.add(countersigned(paper, witness))
    standing = directory.standing("S01-K3", 1)
    assert standing is not None
    assert not standing.provisional


def test_k8_provisional_tills_do_not_vouch_for_each_other_or_themselves() -> None:
    directory = a_directory(countersigned=False)
    directory.add(make_paper(K3, MANAGER, CLEO, TILL, OTHER))
    directory.add(make_paper(TillCertificate("S01-K1", 1, "S01", "K1", TILL.public.hex(), WHEN), MANAGER, CLEO))
    standings = [directory.standing(till, 1) for till in ("S01-K1", "S01-K2", "S01-K3")]
    assert [standing.provisional for standing in standings if standing is not None] == [True] * 3


def test_k9_a_revocation_is_hqs_or_the_managers_and_stays() -> None:
    directory = a_directory()
    gone = Revocation("S01-K1", 1, "stolen", WHEN)
    with pytest.raises(BadCertificateError):
        directory.add(make_paper(gone, OTHER))
    assert directory.add(make_paper(gone, MANAGER))
    assert not directory.add(make_paper(Revocation("S01-K1", 1, "no, all is well", WHEN), HQ))
    standing = directory.standing("S01-K1", 1)
    assert standing is not None
    assert standing.revoked == "stolen"


def test_a_directory_does_not_depend_on_the_order_of_papers_within_a_kind() -> None:
    papers = list(a_directory().papers())
    tills = [paper for paper in papers if paper.kind == "till"]
    for order in permutations(tills):
        directory = Directory(HQ.public)
        for paper in [papers[0], *order]:
            directory.add(paper)
            assert not directory.add(paper)
        assert directory.tills() == a_directory().tills()
