"""Networks that turn a patch into a feature vector, and the file that carries one."""
