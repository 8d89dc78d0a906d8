"""Tenders rehearsed before they are real: card and Swish with every fault the reference allows, and the storm after an outage."""
