"""The costs of a trial: energy by component, CO2e and FLOPs, each with its method."""
