"""Means of payment and what cash rounding does to them."""
