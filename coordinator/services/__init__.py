"""The gRPC services: guard clauses and translation; what they do lies beside this folder."""
