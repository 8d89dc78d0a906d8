"""Words every room speaks: money, time, canonical bytes, signatures, errors."""
