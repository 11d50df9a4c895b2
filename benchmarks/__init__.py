"""Speed, memory and quality of EdgeFed as ratios against peers that run beside it; `python -m benchmarks`."""
