"""Figures for print, drawn from stored files."""
