"""The place: one checkout's process, its page and its wiring around the register."""
