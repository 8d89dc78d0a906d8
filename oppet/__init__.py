"""Öppet: a grocery checkout that stays open. The version is said here and nowhere else."""

__version__ = "0.1.0"
