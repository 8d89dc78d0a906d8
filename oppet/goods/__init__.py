"""What is sold: codes, articles, prices, freshness and offers."""
