"""Why nothing of what came down was taken. A till that meets one of these sells on with what it has."""

from __future__ import annotations

from oppet.base.errors import UnavailableError, UntrustedError
from oppet.base.words import N_

__all__ = [
    "MetadataRefusedError",
    "NotPublishedError",
    "PublicationAwayError",
    "PublicationMalformedError",
    "TargetRefusedError",
]


class PublicationMalformedError(UntrustedError):
    sentence = N_("“{name}” cannot be read: {reason}. Nothing of it is used.")


class MetadataRefusedError(UntrustedError):
    """`why` is a word of `terms.REASONS`."""

    sentence = N_("The lists of repository {repository} were refused ({why}): {reason}.")


class TargetRefusedError(UntrustedError):
    """`why` is a word of `terms.REASONS`."""

    sentence = N_("“{name}” was refused ({why}): {reason}.")


class PublicationAwayError(UnavailableError):
    sentence = N_("Nothing can be fetched from {source}: {reason}. What is here stays in use.")


class NotPublishedError(PublicationAwayError):
    """The source answers, and has no such file."""

    sentence = N_("{source} has no “{name}”.")
