"""Updates per second beside flow-rl (typoverflow/flow-rl), in alternating blocks of one run."""
