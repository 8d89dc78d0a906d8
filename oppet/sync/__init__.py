"""Moving pieces of journal between machines; survives loss, repeats and wrong order."""
