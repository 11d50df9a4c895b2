"""The coordinator: rounds, state, aggregation jobs, gRPC services, certificates."""
