"""Documents: the HTML report and the Markdown of the published results."""
