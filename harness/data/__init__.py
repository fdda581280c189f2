"""Data: the embedded collection `atlas`, its bitext and tokenizer, and batches in a resumable order."""
