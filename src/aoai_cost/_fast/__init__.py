"""The compiled kernels; they know bytes and numbers, not models or money."""
