"""What touches the MRML scene: reading an input volume, making the result nodes, Slicer's package set-up.

The only package besides ``LRformerSlicer.py`` that imports slicer or vtk.  It runs in Slicer's own process and so
never imports torch.  Slicer-facing code, hence camelCase.
"""
