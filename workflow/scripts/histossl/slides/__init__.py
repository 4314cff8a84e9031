"""Whole-slide images: open, read, and know their scale."""
