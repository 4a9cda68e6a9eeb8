"""The commands of `xasnn-stream`; each one thin."""
