"""The panel's long sections take turns, so that it fits one screen."""


class TakingTurns:
    """Of these collapsible sections one is open at a time: opening it folds the others; all may be folded."""

    def __init__(self, *sections) -> None:
        self._sections = sections
        for section in sections:
            section.connect("contentsCollapsed(bool)", lambda isFolded, one=section: self._onFolded(one, isFolded))

    def _onFolded(self, section, isFolded: bool) -> None:
        if isFolded:
            return
        for other in self._sections:
            if other is not section and not other.collapsed:
                other.collapsed = True
