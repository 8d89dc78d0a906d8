"""The signed, append-only record of everything a till did."""
