"""Keeping a store: sweep, compact, merge, verify, remove."""
