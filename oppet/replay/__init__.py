"""Replay: real baskets of other tills through ours, every difference with its reason."""
