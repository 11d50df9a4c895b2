"""Image networks in plain torch under their published parameter names; no weights are ever downloaded."""
