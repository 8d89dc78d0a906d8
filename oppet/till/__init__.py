"""One checkout: it asks the rules, writes the answer down, and only then acts."""
