"""Labelled patches: data sets as they are downloaded, folders of classes, sheets."""
