"""Reports for people: pure functions from the report document to Markdown and HTML."""
