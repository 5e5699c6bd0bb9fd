"""Audit: a user's own loss held against every executable method and cell of the map."""
