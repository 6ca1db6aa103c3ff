"""The Grafana dashboards as code, the page of metrics, the recorder, and a preview of it all."""
