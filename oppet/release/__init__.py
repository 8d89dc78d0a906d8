"""Signed software and signed prices: who may sign, what a till may install or charge, how fast, and never backwards."""
