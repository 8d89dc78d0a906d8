"""Place: head office; a keeper with views: sales and how complete they are, people, exports."""
