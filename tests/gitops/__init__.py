"""What other programs make of an OptimizationJob: Argo CD's scripts, and kstatus."""
