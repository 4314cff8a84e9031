"""Which accelerator a job may use."""
