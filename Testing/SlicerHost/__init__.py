"""A thin host that runs the unmodified module file without the Slicer application.

Real: MRML, its logics and ``slicer.util`` (the slicer-core wheel), Qt widgets (PySide6).  Emulated: what sticks the
two together in Slicer.  A run in here is never "tested in Slicer"; see docs/SLICER_HOST.md.

>>> import SlicerHost
>>> host = SlicerHost.start()
>>> panel = host.openModule(pathOfLRformerSlicerPy)
"""

from SlicerHost.host import Host, start

__all__ = ["Host", "start"]
