"""Which patients train a head and which test it: drawn here, or read from files of others, and audited."""
