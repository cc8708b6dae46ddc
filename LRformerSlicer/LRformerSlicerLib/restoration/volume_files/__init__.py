"""Checks of volume files in Python, before ITK sees them: bounded headers, and voxels that are all there."""
