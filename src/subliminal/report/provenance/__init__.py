"""What stands behind a result: the manifests from which it follows, and what a report says of them."""
