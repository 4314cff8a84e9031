"""Figures of merit, their intervals, and tests of differences."""
