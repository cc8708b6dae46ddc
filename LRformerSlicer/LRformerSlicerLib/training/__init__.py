"""Making weights; never imported by the module."""
