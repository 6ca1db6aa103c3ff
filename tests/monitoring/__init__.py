"""Rules and dashboards, in a real Prometheus."""
