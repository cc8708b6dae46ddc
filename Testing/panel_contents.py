"""What tests of the panel look at: its settings, its report, its slice views, and a prior that is not zero."""

import numpy as np


def composite_of(name):
    import slicer

    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(name).GetSliceCompositeNode()


def slice_node(name):
    import slicer

    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(name).GetSliceNode()


def parameters_of(panel):
    return panel._parameterNode


def give_prior_values(panel):
    """A prior that is not zero, as a run with MedSAM would make: the runs here use none, for speed."""
    import slicer

    node = parameters_of(panel).priorVolume
    voxels = slicer.util.arrayFromVolume(node)
    voxels[:, 20:40, 20:40] = np.linspace(0.1, 0.9, 20, dtype=np.float32)
    slicer.util.arrayFromVolumeModified(node)
    node.GetDisplayNode().SetWindowLevelMinMax(0, 1)
    panel.updatePanel()
    return node


def report_rows(panel):
    table = panel.ui.reportTable
    return {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount)}
