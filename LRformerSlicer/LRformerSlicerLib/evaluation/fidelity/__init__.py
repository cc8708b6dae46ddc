"""Whether restored images may be believed: lesions, uncertainty, real noise and raw k-space."""
