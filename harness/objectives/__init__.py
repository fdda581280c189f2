"""Losses: tensors in, the scalar to minimise and its named parts (detached scalars) out."""
