"""The demo of anomaly detection: three solar-cell plants."""
