"""A chain on one machine: head office, two stores, four tills, all real processes, and only the control units simulated."""
