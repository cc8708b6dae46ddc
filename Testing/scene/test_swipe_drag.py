"""The swipe line, moved with the mouse: Qt's mouse events, through the view's real interactor."""

import pytest


@pytest.fixture
def swipe(restored):
    """The panel in swipe mode, its view, and what a listener behind ours hears of the mouse."""
    import slicer

    restored.ui.swipeButton.click()
    slicer.app.processEvents()
    view = slicer.app.layoutManager().sliceWidget("LRformerSingle").sliceView()
    heard = []
    for event in ("LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent"):
        view.interactor().AddObserver(event, lambda caller, name: heard.append(name))
    return restored, view, heard


def test_dragging_the_line_moves_it_and_the_slider(swipe, pictures, application):
    panel, view, heard = swipe
    application.drag(view, 0.5, 0.8)
    assert panel.ui.swipeSlider.value == pytest.approx(80, abs=1)
    by_mouse = pictures()["LRformerSingle"]
    panel.ui.swipeSlider.value = 20
    panel.ui.swipeSlider.value = panel._parameterNode.swipePosition = 80
    by_slider = pictures()["LRformerSingle"]
    assert (by_mouse[:, : round(0.78 * view.width)] == by_slider[:, : round(0.78 * view.width)]).all()
    assert heard == [], "the view's own mouse functions (window/level) would have worked as well"


def test_dragging_elsewhere_is_left_to_the_view(swipe, application):
    panel, view, heard = swipe
    application.drag(view, 0.2, 0.3)
    assert panel.ui.swipeSlider.value == 50
    assert "LeftButtonPressEvent" in heard and "LeftButtonReleaseEvent" in heard


def test_the_line_stays_inside_the_view(swipe, application):
    panel, view, heard = swipe
    application.drag(view, 0.5, 1.4)
    assert panel.ui.swipeSlider.value == 100
    application.drag(view, 0.999, -0.5)
    assert panel.ui.swipeSlider.value == 0


def test_after_the_swipe_the_mouse_is_the_views_again(swipe, application):
    panel, view, heard = swipe
    panel.ui.flickerButton.click()
    application.drag(view, 0.5, 0.8)
    assert panel.ui.swipeSlider.value == 50 and "LeftButtonPressEvent" in heard
