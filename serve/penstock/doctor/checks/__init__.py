"""Checks by subject: pure functions, facts in, findings out."""
