"""Benchmarks: every performance goal as a figure and a ratio; never part of the test run."""
