"""The worker process and the two ends of the pipe to it.

``messages`` (the JSON lines), ``server`` (the child process, the only one here that loads torch, and only once it
has a job) and ``client`` (the parent's end, used inside Slicer: standard library and psutil only).
"""
