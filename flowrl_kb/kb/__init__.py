"""The knowledge side: cards, axes, rules, queries and relations. Nothing in this package imports jax."""
