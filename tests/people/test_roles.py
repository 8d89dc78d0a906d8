"""Numbers, handles and roles: what may stand on head office's list of people."""

from __future__ import annotations

import pytest

from oppet.people.roles import (
    CODE_MINUTES,
    CODE_TRIES,
    ROLE_WORDS,
    ROLES,
    CodeWrongError,
    HandleUnfitError,
    RolesUnfitError,
    check_code_life,
    check_handle,
    check_roles,
)


def test_every_role_has_a_word() -> None:
    assert set(ROLE_WORDS) == set(ROLES)
    assert check_roles(["publisher", "viewer", "viewer"]) == ("viewer", "publisher")


@pytest.mark.parametrize("roles", [[], ["root"], ["viewer", "root"], [""]])
def test_o3_a_role_that_does_not_exist_is_given_to_nobody(roles: list[str]) -> None:
    with pytest.raises(RolesUnfitError):
        check_roles(roles)


@pytest.mark.parametrize("handle", ["", " ", "<b>", "a" * 33, "a\nb", "a;b"])
def test_w4_a_handle_is_plain_text(handle: str) -> None:
    with pytest.raises(HandleUnfitError):
        check_handle(handle)
    assert check_handle(" Bo åäö-2 ") == "Bo åäö-2"


@pytest.mark.parametrize(("tries", "age"), [(CODE_TRIES, 0), (0, CODE_MINUTES * 60_000), (0, -1)])
def test_k10_a_persons_code_is_spent_by_tries_and_by_time(tries: int, age: int) -> None:
    check_code_life(0, CODE_TRIES - 1, CODE_MINUTES * 60_000 - 1)
    with pytest.raises(CodeWrongError):
        check_code_life(0, tries, age)
