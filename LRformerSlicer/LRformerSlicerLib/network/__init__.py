"""The LRformer network: GFCA, the blocks, checkpoints (torch only)."""
