"""Optimal transport between token clouds: cost, problem, solver, plan."""
