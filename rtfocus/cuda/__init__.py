"""The stages between reader and writer on an NVIDIA GPU: CuPy's memory, streams and kernels."""
