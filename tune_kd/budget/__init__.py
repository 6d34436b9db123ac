"""Budgets: an amount, the ledger that charges it, and the target that ends a run."""
