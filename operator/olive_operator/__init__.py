"""The operator: watches OptimizationJobs and brings the cluster to what they say."""
