"""Releases and prices going out to a chain of 800 stores in one process, with thieves; and the speed of the second pipe."""
