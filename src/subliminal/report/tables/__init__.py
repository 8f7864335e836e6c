"""The numbers behind a report's tables: what each arm answers, which arms are compared, and what that says."""
