"""Place: what head office makes of the entries it keeps: rows, sums, what is missing and how much that may be, files."""
