"""The signing desk: ceremony, building, signing and publishing as verbs on files, on machines that need no network."""
