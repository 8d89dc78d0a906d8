"""From basket to receipt: pure rules."""
