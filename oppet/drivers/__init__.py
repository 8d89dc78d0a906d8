"""The only hands: disk, keys, clock, network, printer and terminal. Foreign exceptions become ours in here."""
