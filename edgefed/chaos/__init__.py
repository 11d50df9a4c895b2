"""Network faults on purpose: a proxy that injects them, and profiles of networks that a deployment must survive."""
