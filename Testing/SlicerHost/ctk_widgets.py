"""``ctk``: stand-ins for the CTK widgets that this module's .ui file uses."""

from __future__ import annotations

import types

from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.connecting import ConnectsBySignature, Signature

COLLAPSED_MARGIN_PIXELS = 14
"""What CTK leaves under the title of a folded section unless collapsedHeight says otherwise."""


class ctkCollapsibleButton(ConnectsBySignature, QtWidgets.QAbstractButton):
    """A section that its title, a button, folds: checked is open. What was hidden by hand stays hidden."""

    contentsCollapsed = QtCore.Signal(bool)
    SIGNATURES = tuple(map(Signature, ("contentsCollapsed(bool)", "toggled(bool)", "clicked(bool)", "clicked()")))

    def __init__(self, parent=None):
        super().__init__(parent)
        self._isCollapsed = self._isForcing = self._isCreated = self._flat = False
        self._collapsedHeight = COLLAPSED_MARGIN_PIXELS
        self._openMaximumHeight = self.maximumHeight
        self.setCheckable(True)
        self.setChecked(True)
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Minimum, policy.Preferred)
        self.setContentsMargins(0, self._titleSize().height(), 0, 0)
        self.setBackgroundRole(QtGui.QPalette.ColorRole.Window)
        self.toggled.connect(lambda isChecked: self._collapse(not isChecked))

    def _setCollapsedHeight(self, height):
        self._collapsedHeight = height
        self.updateGeometry()

    collapsed = QtCore.Property(bool, lambda self: self._isCollapsed, lambda self, value: self.setChecked(not value))
    collapsedHeight = QtCore.Property(int, lambda self: self._collapsedHeight, _setCollapsedHeight)
    flat = QtCore.Property(bool, lambda self: self._flat, lambda self, value: setattr(self, "_flat", value))

    def sizeHint(self):
        title, extra = self._titleSize(), QtCore.QSize(0, self._collapsedHeight)
        if self._isCollapsed:
            return title + extra
        return self._contentsSize("sizeHint").expandedTo(title + extra)

    def minimumSizeHint(self):
        title = self._titleSize()
        if self._isCollapsed:
            return title + QtCore.QSize(0, self._collapsedHeight)
        return self._contentsSize("minimumSize").expandedTo(title)

    def setVisible(self, isVisible):
        self._isForcing = True  # what comes of it is not of anybody's hand
        super().setVisible(isVisible)
        self._isForcing = False
        if not self._isCreated and self.testAttribute(QtCore.Qt.WidgetAttribute.WA_WState_Created):
            self._isCreated = True
            self._showOrHideChildren()

    def childEvent(self, event):
        child = event.child()
        if event.added() and child.isWidgetType():
            attribute = QtCore.Qt.WidgetAttribute
            if child.testAttribute(attribute.WA_WState_ExplicitShowHide) and child.testAttribute(
                attribute.WA_WState_Hidden
            ):
                child.setProperty("visibilityToParent", False)
            child.installEventFilter(self)
            self._showOrHide(child)

    def eventFilter(self, child, event):
        if not self._isForcing and event.type() == QtCore.QEvent.Type.ShowToParent:
            child.setProperty("visibilityToParent", True)
            self._showOrHide(child)
        elif not self._isForcing and event.type() == QtCore.QEvent.Type.HideToParent:
            child.setProperty("visibilityToParent", False)
        return False

    def hitButton(self, place):
        return place.y() < self._titleSize().height()

    def paintEvent(self, _event):
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, self._titleSize().height())
        element = QtWidgets.QStyle.PrimitiveElement
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        side = option.rect.height() // 2
        arrow.rect = QtCore.QRect(side // 2, side // 2, side, side)
        painter.drawPrimitive(
            element.PE_IndicatorArrowRight if self._isCollapsed else element.PE_IndicatorArrowDown, arrow
        )
        flags = QtCore.Qt.AlignmentFlag
        words = option.rect.adjusted(2 * side, 0, 0, 0)
        painter.drawText(words, flags.AlignLeft | flags.AlignVCenter | QtCore.Qt.TextFlag.TextShowMnemonic, self.text)

    def _collapse(self, isCollapsed):
        if isCollapsed == self._isCollapsed:
            return
        self._isCollapsed = isCollapsed
        if isCollapsed:
            self._openMaximumHeight = self.maximumHeight
            self.setMaximumHeight(self.sizeHint().height())
        else:
            self.setMaximumHeight(self._openMaximumHeight)
        self._showOrHideChildren()
        self.updateGeometry()
        self.contentsCollapsed.emit(isCollapsed)

    def _showOrHideChildren(self):
        for child in self.children():
            if child.isWidgetType():
                self._showOrHide(child)

    def _showOrHide(self, child):
        if not self.testAttribute(QtCore.Qt.WidgetAttribute.WA_WState_Created):
            return
        self._isForcing = True
        wasHidden = child.property("visibilityToParent") is False
        isShown = not self._isCollapsed and not wasHidden
        if child.testAttribute(QtCore.Qt.WidgetAttribute.WA_WState_Created) or not isShown:
            child.setVisible(isShown)
        if not wasHidden:
            child.setAttribute(QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)
        self._isForcing = False

    def _titleSize(self):
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        metrics, style = QtWidgets.QStyle.PixelMetric, self.style()
        words = self.fontMetrics().size(QtCore.Qt.TextFlag.TextShowMnemonic, self.text or "XXXX")
        indicator = style.pixelMetric(metrics.PM_IndicatorWidth, option, self)
        spacing = style.pixelMetric(metrics.PM_CheckBoxLabelSpacing, option, self)
        height = max(words.height(), style.pixelMetric(metrics.PM_IndicatorHeight, option, self))
        size = QtCore.QSize(words.width() + indicator + spacing, height)
        return style.sizeFromContents(QtWidgets.QStyle.ContentsType.CT_PushButton, option, size, self)

    def _contentsSize(self, name):
        layout = self.layout()
        return getattr(layout, name)() if layout is not None else QtCore.QSize()


class ctkSliderWidget(ConnectsBySignature, QtWidgets.QWidget):
    """A slider with its number beside it. The value is exact, the number shows it with its decimals."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    SIGNATURES = tuple(map(Signature, ("valueChanged(double)", "valueIsChanging(double)")))

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._number = QtWidgets.QDoubleSpinBox()
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._number)
        self._minimum, self._maximum, self._value = 0.0, self._number.maximum, 0.0
        self._tracking, self._isShowing = True, False
        self._show()
        self._number.valueChanged.connect(lambda value: self._isShowing or self._setValue(value))
        self._slider.valueChanged.connect(self._onSlider)
        self._slider.sliderReleased.connect(self._onReleased)

    def _setValue(self, value):
        value = min(max(value, self._minimum), self._maximum)
        isOther, self._value = value != self._value, value
        self._show()
        if isOther and (self._tracking or not self._slider.isSliderDown()):
            self.valueChanged.emit(value)
        elif isOther:
            self.valueIsChanging.emit(value)

    def _onSlider(self, step):
        if not self._isShowing:
            self._setValue(self._minimum + step * self.singleStep)

    def _onReleased(self):
        if not self._tracking:
            self.valueChanged.emit(self._value)

    def _show(self):
        self._isShowing = True
        self._number.setRange(self._minimum, self._maximum)
        self._number.setValue(self._value)
        steps = [min(round((one - self._minimum) / self.singleStep), 2**31 - 1) for one in (self._maximum, self._value)]
        self._slider.setRange(0, steps[0])
        self._slider.setValue(steps[1])
        self._isShowing = False

    def _setMinimum(self, value):
        self._minimum, self._maximum = value, max(value, self._maximum)
        self._setValue(self._value)

    def _setMaximum(self, value):
        self._minimum, self._maximum = min(value, self._minimum), value
        self._setValue(self._value)

    def _setSingleStep(self, step):
        if self._minimum == self._maximum or 0 < step <= self._maximum - self._minimum:  # else only a warning
            self._number.singleStep = step
            self._show()

    def _setOfNumber(self, name, value):
        setattr(self._number, name, value)
        self._show()

    def _ofNumber(name, qtType, setter=None):  # noqa: N805  used in the class body only
        return QtCore.Property(
            qtType,
            lambda self: getattr(self._number, name),
            setter or (lambda self, value: self._setOfNumber(name, value)),
        )

    value = QtCore.Property(float, lambda self: self._value, _setValue)
    minimum = QtCore.Property(float, lambda self: self._minimum, _setMinimum)
    maximum = QtCore.Property(float, lambda self: self._maximum, _setMaximum)
    singleStep = _ofNumber("singleStep", float, _setSingleStep)
    decimals = _ofNumber("decimals", int)
    prefix = _ofNumber("prefix", str)
    suffix = _ofNumber("suffix", str)
    tracking = QtCore.Property(
        bool, lambda self: self._tracking, lambda self, value: setattr(self, "_tracking", bool(value))
    )


CLASSES = (ctkCollapsibleButton, ctkSliderWidget)


def makeModule() -> types.ModuleType:
    """The module ``ctk``."""
    module = types.ModuleType("ctk")
    for cls in CLASSES:
        setattr(module, cls.__name__, cls)
    return module
