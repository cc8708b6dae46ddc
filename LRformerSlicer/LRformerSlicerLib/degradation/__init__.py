"""Physics that makes degraded data: CT dose in the projection domain, MR in k-space."""
