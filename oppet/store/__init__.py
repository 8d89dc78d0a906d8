"""Place: the back room; gathers the tills' journals, hands out names, sends everything on to head office."""
