"""Procedural H&E-like slides and patches with known truth: the demo cohort."""
