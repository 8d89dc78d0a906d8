"""Devices and services as processes that speak the real protocols, misbehave on order and know nothing of our code."""
