"""The lrformer command, one file a subcommand.

A subcommand is a module of this package named like it, with ``add_arguments(parser)`` and ``run(arguments)``, which
returns the exit code.  Modules import what is heavy (torch, SimpleITK, astra) inside ``run``, so that ``--help`` is
quick and works without it.
"""

SUBCOMMANDS = {
    "restore": "restore a CT or MR volume",
    "check": "tell what would be restored of a file or folder, and what would not",
    "prior": "write the lesion-semantic prior of a volume",
    "simulate": "degrade a volume: CT dose, MR resolution or motion",
    "demo": "degrade, restore and show two real scans that come with the packages",
    "train": "make weights for a task from a folder of scans",
    "pack": "put what a training needs into one small file for another machine",
    "average": "take the mean of two models' weights",
    "evaluate": "judge weights on held-out scans, beside classical filters",
    "benchmark": "measure what attention, the network and the prior cost here",
    "serve": "serve jobs over standard input and output, as the Slicer module asks for",
}
"""Subcommand to the one line that --help shows for it."""
