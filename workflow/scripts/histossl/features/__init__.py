"""Frozen features of slides and patch data sets, in HDF5."""
