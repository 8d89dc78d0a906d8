"""What an auditor asks of journals, without trusting the till that wrote them."""
