"""What leaves the till: receipts and reports as values, the ways out, and the receipt as a signed code."""
