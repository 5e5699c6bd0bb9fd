"""Training: one update function, three loops (bandits, off-policy, on-policy), runs that can be resumed."""
