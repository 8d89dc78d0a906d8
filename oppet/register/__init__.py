"""The register: one checkout without its wires. It asks the rules, writes the answer down, and only then acts through its ports."""
