"""The parts of the panel, one subject a file: what a click does to the parameter node, the scene and the views.

Besides ``LRformerSlicer.py`` the only package that may use the widgets of Qt and CTK.  A part gets the panel's widgets
(``ui``), reads and writes the parameter node, and leaves MRML to ``scene``.
"""
