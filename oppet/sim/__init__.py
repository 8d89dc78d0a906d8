"""A retail chain in one process: fake clock, disk, cable and thief, from a seed."""
