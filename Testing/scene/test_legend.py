"""Colour legends: ticks with as many digits as the range needs, printed in one size."""

import pytest


@pytest.mark.parametrize(
    ("lower", "upper", "ticks"),
    [
        (0, 1, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (0, 12, ["0", "3", "6", "9", "12"]),
        (0, 10, ["0.0", "2.5", "5.0", "7.5", "10.0"]),
        (-160, 160, ["-160", "-80", "0", "80", "160"]),
        (0, 0.016, ["0.000", "0.004", "0.008", "0.012", "0.016"]),
        (0, 5, ["0.00", "1.25", "2.50", "3.75", "5.00"]),
        (0, 800, ["0", "200", "400", "600", "800"]),
    ],
)
def test_ticks_have_the_digits_they_need(application, lower, upper, ticks):
    from LRformerSlicerLib.scene import legend

    values = [lower + (upper - lower) * index / 4 for index in range(5)]
    labels = [legend.labelFormat(lower, upper) % value for value in values]
    assert [label.strip() for label in labels] == ticks
    assert {len(label) for label in labels} == {legend.LABEL_WIDTH}, "labels of one width are printed in one size"


@pytest.mark.parametrize(
    ("value", "end"), [(1, 1), (11, 12), (0.37, 0.4), (158, 160), (0.00091, 0.001), (9.99, 10), (2.0001, 2.4)]
)
def test_ranges_end_at_round_values(application, value, end):
    from LRformerSlicerLib.scene.legend import roundUpperEnd

    assert roundUpperEnd(value) == pytest.approx(end)


def test_maps_of_different_ranges_have_the_same_size_of_print(panel_with_views, add_ct, views):
    """Read off Slicer's own legend actors."""
    import numpy as np
    import slicer

    from LRformerSlicerLib.scene.overlay import Overlay
    from LRformerSlicerLib.scene.views import sliceNodes

    slicer.util.setSliceViewerLayers(background=add_ct())
    sizes = {}
    for title, lower, upper in (("Prior U", 0, 1), ("Expected error (HU)", 0, 12), ("Change (HU)", -160, 160)):
        voxels = np.linspace(0, upper, 3 * 48 * 48, dtype=np.float32).reshape(3, 48, 48)
        volume = slicer.util.addVolumeFromArray(voxels, name=title)
        volume.CreateDefaultDisplayNodes()
        volume.GetDisplayNode().AutoWindowLevelOff()
        volume.GetDisplayNode().SetWindowLevelMinMax(lower, upper)
        overlay = Overlay()
        overlay.show(volume, title, sliceNodes(), 0.6, 0.0, False)
        slicer.app.processEvents()
        sizes[title] = legend_font_size()
        overlay.hide()
    assert len(set(sizes.values())) == 1 and 8 <= sizes["Prior U"] <= 18, sizes


def legend_font_size() -> int:
    """Size of the visible legend's title in the first slice view; Slicer gives it the size of the labels."""
    import slicer

    view = slicer.app.layoutManager().sliceWidget(slicer.app.layoutManager().sliceViewNames()[0]).sliceView()
    view.renderWindow().Render()
    renderers = view.renderWindow().GetRenderers()
    props = [
        prop for index in range(renderers.GetNumberOfItems()) for prop in renderers.GetItemAsObject(index).GetActors2D()
    ]
    legends = [prop for prop in props if prop.IsA("vtkScalarBarActor") and prop.GetVisibility()]
    assert len(legends) == 1
    return legends[0].GetTitleTextProperty().GetFontSize()
