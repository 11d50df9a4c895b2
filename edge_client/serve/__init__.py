"""A compiled model as a service: HTTP, ZeroMQ and a watched folder before one queue and one thread that judges."""
