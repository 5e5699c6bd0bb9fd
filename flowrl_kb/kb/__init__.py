"""The knowledge side: cards, axes, rules, queries and relations. Nothing in this package imports jax."""

ROOT = "FLOWRL_KB_ROOT"
"""Environment variable: the folder with taxonomy/ and methods/ to read in place of the installed one."""
