"""Splits, heads, metrics and tables: which encoder is better, and is it chance?"""
