"""Node selectors that tell of every choice, also between two nodes of one name."""


def followChoice(selector, slot) -> None:
    """Call slot(node) when another node is chosen in `selector`, perhaps twice.

    In a Slicer with Qt 6 (5.13 on), currentNodeChanged is silent where the name stays the same; nodeActivated is not.
    """
    selector.connect("currentNodeChanged(vtkMRMLNode*)", slot)
    selector.connect("nodeActivated(vtkMRMLNode*)", slot)


class BoundSelectors:
    """Parameters that are bound to a selector by name follow every choice, too.

    getParameters: the parameter node that is shown now, or None; selectors: name of the parameter -> selector.
    """

    def __init__(self, getParameters, selectors) -> None:
        self._getParameters = getParameters
        for name, selector in selectors.items():
            selector.connect("nodeActivated(vtkMRMLNode*)", self._slotFor(name))

    def _slotFor(self, name):
        def onActivated(node):
            parameters = self._getParameters()
            if parameters is not None and getattr(parameters, name) is not node:
                setattr(parameters, name, node)

        return onActivated
