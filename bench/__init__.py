"""Benchmarks: `python -m bench` prints paired ratios beside their goals; test_micro.py is the micro level."""
