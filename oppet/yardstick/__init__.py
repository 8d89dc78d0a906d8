"""What benchmarks measure with: goods, a till without its devices, ceilings of the same run."""
