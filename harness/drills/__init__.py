"""Drills: a small study is disturbed on purpose, and what comes of it is compared with the same study left in peace."""
