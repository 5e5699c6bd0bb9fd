"""The losses that papers published: one file for each method, written from its formulas; imports `parts.types` only."""
