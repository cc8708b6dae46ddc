"""The only package besides LRformerSlicer.py that knows slicer and vtk: nodes, views, dependencies."""
