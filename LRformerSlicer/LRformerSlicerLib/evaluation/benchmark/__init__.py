"""The benchmark of quality: its parts, the networks trained for it, and the document made of them."""
