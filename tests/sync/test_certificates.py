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
    believe_kept,
    countersigned,
    make_paper,
)
from oppet.sync.errors import BadCertificateError
from oppet.sync.messages import Paper
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


LATER = Signer(bytes([7]) * 32)  # the manager after MANAGER
NEWER_STORE = StoreCertificate(
    "S01", "Storgatan", "Öst", LATER.public.hex(), NODE.public.hex(), "2026-11-23T06:00:00.000Z"
)


def a_directory_with_two_managers() -> Directory:
    """K1, K2 and K3 by the first manager, who also ended K3; then K4 by the second."""
    directory = a_directory()
    directory.add(make_paper(K3, MANAGER))
    directory.add(make_paper(Revocation("S01-K3", 1, "stolen", WHEN), MANAGER))
    directory.add(make_paper(NEWER_STORE, HQ))
    directory.add(make_paper(TillCertificate("S01-K4", 1, "S01", "K4", "09" * 32, WHEN), LATER))
    return directory


def believed(directory: Directory) -> list[tuple[str, str]]:
    found = [directory.standing(known.till, known.epoch) for known in directory.tills()]
    return [(one.till, one.revoked) for one in found if one is not None]


ALL_FOUR = [("S01-K1", ""), ("S01-K2", ""), ("S01-K3", "stolen"), ("S01-K4", "")]


def test_k7_k9_what_an_older_managers_key_certified_and_ended_outlives_keeping_and_reading_again() -> None:
    papers = list(a_directory_with_two_managers().papers("S01"))
    for order in (papers, papers[::-1], sorted(papers, key=lambda paper: paper.text)):
        again = Directory(HQ.public)
        assert believe_kept(again, order) == []
        assert believed(again) == ALL_FOUR
        assert again.stores["S01"] == NEWER_STORE
        assert sorted(again.papers(), key=repr) == sorted(papers, key=repr)


def test_k7_papers_lie_in_an_order_in_which_they_are_believed_one_by_one() -> None:
    again = Directory(HQ.public)
    assert all(again.add(paper) for paper in a_directory_with_two_managers().papers())
    assert believed(again) == ALL_FOUR


def test_k7_a_keeper_that_knows_nothing_believes_a_till_of_an_older_manager_by_its_papers() -> None:
    directory, again = a_directory_with_two_managers(), Directory(HQ.public)
    for till in ("S01-K3", "S01-K4"):
        assert [paper.kind for paper in directory.papers_of(till, 1)][:1] == ["store"]
    for paper in directory.papers_of("S01-K3", 1):
        assert again.add(paper)
    assert believed(again) == [("S01-K3", "stolen")]
    assert again.stores["S01"] == NEWER_STORE


def test_k7_an_older_managers_key_certifies_nobody_once_the_newer_is_known() -> None:
    directory = a_directory_with_two_managers()
    with pytest.raises(BadCertificateError):
        directory.add(make_paper(TillCertificate("S01-K5", 1, "S01", "K5", "0a" * 32, WHEN), MANAGER))
    left = believe_kept(directory, [make_paper(TillCertificate("S01-K5", 1, "S01", "K5", "0a" * 32, WHEN), MANAGER)])
    assert len(left) == 1


def test_k8_a_till_of_an_older_manager_is_countersigned_later() -> None:
    directory = a_directory(countersigned=False)
    directory.add(make_paper(NEWER_STORE, HQ))
    (mine,) = [paper for paper in directory.papers_of("S01-K1", 1) if paper.kind == "till"]
    assert directory.add(countersigned(mine, HQ))
    standing = directory.standing("S01-K1", 1)
    assert standing is not None
    assert not standing.provisional


def test_k2_kept_papers_of_nonsense_are_left_over() -> None:
    nonsense = [Paper("store", "{"), Paper("cheese", "{}"), Paper("till", "[" * 900)]
    directory = Directory(HQ.public)
    assert sorted(believe_kept(directory, nonsense), key=repr) == sorted(nonsense, key=repr)
    assert list(directory.papers()) == []
