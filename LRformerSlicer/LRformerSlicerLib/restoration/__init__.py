"""One volume in, one result out: tasks, intensity, slicing, tiling, geometry, report."""
