"""What the attention heads of encoders look at in a patch."""
