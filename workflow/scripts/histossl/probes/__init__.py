"""Simple predictors on frozen patch features."""
