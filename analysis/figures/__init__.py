"""Figures made for reading: each is drawn from findings alone and knows nothing of files."""
