"""People of the office: their roles, and what takes two of them."""
