"""The commands of python -m harness, by what they are for."""
