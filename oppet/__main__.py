"""`python -m oppet` is the same command as `oppet`."""

from oppet.cli import main

if __name__ == "__main__":
    main()
