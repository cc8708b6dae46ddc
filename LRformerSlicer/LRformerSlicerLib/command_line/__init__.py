"""The lrformer command, one file a subcommand."""
