"""Benchmarks: `oppet bench NAME --json` measures what is promised."""
