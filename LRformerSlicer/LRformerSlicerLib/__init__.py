"""LRformerSlicerLib: restoration of CT and MR volumes guided by a reliable lesion-semantic prior.

The layering rule
-----------------
::

    network, prior, degradation  <-  restoration  <-  worker  <-  the module LRformerSlicer.py

Nothing on the left imports anything on the right.  ``training`` and ``evaluation`` stand beside the chain: they
use it and nothing in it uses them.  ``errors`` has no dependencies and serves all.

Only ``scene`` (MRML), ``panel`` (widgets, on top of ``scene``) and ``LRformerSlicer.py`` import slicer, qt, ctk or
vtk.  torch is imported only in the worker process and on the command line, never in Slicer's own process; for that
reason the packages' ``__init__`` files hold a docstring and nothing else.  ``Testing/unit/test_layering.py`` enforces
all of it.
"""

__version__ = "0.1.0"
