"""``widget.connect("signal(args)", slot)`` for the stand-ins of Slicer's and CTK's widgets."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Signature:
    """A signal of Slicer's class, such as "clicked(bool)", and the stand-in's own name for it."""

    text: str
    attribute: str = ""

    def __post_init__(self):
        self.attribute = self.attribute or self.text[: self.text.index("(")]


class ConnectsBySignature:
    """SIGNATURES are the signals of Slicer's class besides those of Qt's class."""

    SIGNATURES: tuple[Signature, ...] = ()

    def __getattribute__(self, name):
        # PySide6 finds its own connect before it looks into the class.
        if name in ("connect", "disconnect"):

            def bySignature(signature, slot):
                known = {one.text: one.attribute for one in type(self).SIGNATURES}
                if signature not in known:
                    raise ValueError(f"{type(self).__name__} has no signal {signature}")
                getattr(getattr(self, known[signature]), name)(slot)
                return True

            return bySignature
        return super().__getattribute__(name)
