"""Stain normalisation: patches take the colours of a reference picture."""
