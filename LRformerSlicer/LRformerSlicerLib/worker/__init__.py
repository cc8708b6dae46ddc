"""The child process that keeps models loaded: messages, server, client."""
