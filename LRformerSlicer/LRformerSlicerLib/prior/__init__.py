"""RLPP, the reliable lesion-semantic prior producer, and the MedSAM backbones behind it."""
