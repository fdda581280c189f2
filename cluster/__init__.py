"""Where a study runs: targets, checks before submission, and submission itself."""
