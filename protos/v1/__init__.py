"""Generated messages and services of protocol version 1; made by `make protos`."""
