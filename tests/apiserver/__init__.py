"""What a real API server makes of our CRDs, examples and chart."""
