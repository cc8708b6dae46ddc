"""Artifacts of MR k-space that are found in the magnitude image itself and undone before the network sees a slice."""
