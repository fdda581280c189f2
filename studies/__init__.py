"""What we ask: studies as plain values, importable without torch."""
