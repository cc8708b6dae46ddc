"""What is missing is named, asked for and never replaced; pip itself is not run."""

import importlib.metadata
import subprocess
import sys
import types
import zipfile

import pytest

from LRformerSlicerLib.errors import UserError


@pytest.fixture
def dependencies(application):
    from LRformerSlicerLib.scene import dependencies

    return dependencies


@pytest.fixture
def requirements(tmp_path):
    """A requirements file that wants something no machine has, and something that this one has."""
    path = tmp_path / "requirements.txt"
    path.write_text("# comment\npsutil>=5.9\n\nno-such-package-zz>=1.0  # why\n", encoding="utf-8")
    return path


@pytest.fixture
def interactive(application, monkeypatch):
    """As a Slicer that was not started with --testing."""
    application.replace_in_app(monkeypatch, testingEnabled=lambda: False)
    return monkeypatch


def test_the_shipped_requirements_are_satisfied_here(dependencies):
    assert dependencies.missingRequirements() == []
    dependencies.ensureDependencies()


def test_only_what_is_missing_or_too_old_is_named(dependencies, requirements):
    assert dependencies.missingRequirements(requirements) == ["no-such-package-zz>=1.0"]
    requirements.write_text("psutil>=999\npsutil>=5.9.0\nSimpleITK\n", encoding="utf-8")
    assert dependencies.missingRequirements(requirements) == ["psutil>=999"]


@pytest.mark.parametrize(
    ("installed", "wanted", "isEnough"),
    [("2.13.0+cpu", "2.2", True), ("2.2", "2.2.0", True), ("2.1.9", "2.2", False), ("10.0rc1", "9.9", True)],
)
def test_versions_compare_as_numbers(dependencies, monkeypatch, installed, wanted, isEnough):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: installed)
    assert dependencies._isSatisfied(f"torch>={wanted}") is isEnough


def test_in_testing_mode_nothing_is_installed(dependencies, requirements, monkeypatch, application):
    import slicer

    application.replace_in_app(monkeypatch, testingEnabled=lambda: True)
    monkeypatch.setattr(slicer.util, "pip_install", lambda arguments: pytest.fail("pip was called"))
    with pytest.raises(UserError, match="no-such-package-zz"):
        dependencies.ensureDependencies(requirements)


def test_without_consent_nothing_is_installed(dependencies, requirements, interactive):
    import slicer

    interactive.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: "no-such-package-zz" not in text)
    interactive.setattr(slicer.util, "pip_install", lambda arguments: pytest.fail("pip was called"))
    with pytest.raises(UserError, match="no-such-package-zz"):
        dependencies.ensureDependencies(requirements)


def test_a_click_while_pip_runs_starts_no_second_installation(dependencies, requirements, interactive):
    import slicer

    refused = []

    def click_again(arguments):
        with pytest.raises(UserError, match="being installed") as refusal:
            dependencies.ensureDependencies(requirements)
        refused.append(refusal)

    interactive.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: True)
    interactive.setattr(slicer.util, "pip_install", click_again)
    for _time in range(2):  # the second time: it does not stay locked
        with pytest.raises(UserError, match="no-such-package-zz"):
            dependencies.ensureDependencies(requirements)
    assert len(refused) == 2


def test_pip_is_told_to_keep_what_slicer_ships(dependencies, requirements, interactive):
    import slicer

    calls = []
    interactive.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: True)
    interactive.setattr(
        slicer.util, "pip_install", lambda arguments: calls.append((arguments, open(arguments[1]).read()))
    )
    with pytest.raises(UserError):  # for it is still missing
        dependencies.ensureDependencies(requirements)
    (arguments, constraints), *others = calls
    assert others == []
    assert arguments[0] == "--constraint" and arguments[2:] == ["no-such-package-zz>=1.0"]
    for name in ("numpy", "SimpleITK", "torch"):
        assert f"{name}=={importlib.metadata.version(name)}" in constraints.splitlines()


def test_newer_slicers_are_asked_through_slicer_packaging(dependencies, requirements, interactive):
    import slicer

    calls = []
    packaging = types.ModuleType("slicer.packaging")
    packaging.__spec__ = types.SimpleNamespace(name="slicer.packaging")
    packaging.load_requirements = lambda path: path.read_text().split()
    packaging.pip_ensure = lambda wanted, constraints, requester: calls.append((wanted, requester))
    interactive.setitem(sys.modules, "slicer.packaging", packaging)
    interactive.setattr(slicer, "packaging", packaging, raising=False)
    with pytest.raises(UserError):
        dependencies.ensureDependencies(requirements)
    assert calls == [(["no-such-package-zz>=1.0"], "LRformer Slicer")]


@pytest.mark.parametrize("keyword", ["askConfirmation", "somethingNew"])
def test_torch_comes_through_the_pytorch_extension_only(dependencies, tmp_path, interactive, keyword):
    installed = []
    code = f"def installTorch(self, {keyword}=False): installed.append({keyword}); return None"
    namespace = {"installed": installed}
    exec(code, namespace)  # the extension's keyword has changed over time; both shapes must work
    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = type("PyTorchUtilsLogic", (), {"installTorch": namespace["installTorch"]})
    interactive.setattr(dependencies, "TORCH_REQUIREMENT", "torch>=999")
    empty = tmp_path / "requirements.txt"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="install the extension PyTorch"):
        dependencies.ensureDependencies(empty)
    interactive.setitem(sys.modules, "PyTorchUtils", extension)
    with pytest.raises(UserError, match="was not installed"):
        dependencies.ensureDependencies(empty)
    assert installed == [keyword == "askConfirmation"]


def make_wheel(folder, name, version):
    """A real wheel of a package with one file."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{module}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheel_folder(dependencies, interactive, tmp_path):
    """The folder for wheels, and pip as it is, but installing into a folder of the test's own."""
    import slicer

    target = tmp_path / "installed"
    folder = tmp_path / "wheels"
    interactive.setattr(dependencies, "wheelFolder", lambda: folder)
    interactive.syspath_prepend(str(target))

    def pip_install(arguments):
        subprocess.run([sys.executable, "-m", "pip", "install", "--target", str(target), *arguments], check=True)

    interactive.setattr(slicer.util, "pip_install", pip_install)
    return folder


def test_wheels_brought_by_hand_are_installed_without_the_internet(
    dependencies, requirements, interactive, wheel_folder
):
    import slicer

    make_wheel(wheel_folder, "no-such-package-zz", "1.0")
    asked = []
    interactive.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: asked.append(text) or True)
    dependencies.ensureDependencies(requirements)
    assert asked == [f"Install these Python packages from {wheel_folder}: no-such-package-zz?"]
    assert dependencies.missingRequirements(requirements) == []


def test_torch_may_come_as_a_wheel_with_what_it_needs(dependencies, interactive, wheel_folder, tmp_path):
    import slicer

    interactive.setattr(dependencies, "TORCH_REQUIREMENT", "no-such-torch-zz>=2.2")
    make_wheel(wheel_folder, "no-such-torch-zz", "2.13.0")
    interactive.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: True)
    empty = tmp_path / "requirements.txt"
    empty.write_text("", encoding="utf-8")
    dependencies.ensureDependencies(empty)
    assert dependencies.missingRequirements(empty) == []


def test_a_wheel_that_does_not_fit_is_one_sentence(dependencies, requirements, interactive, wheel_folder):
    import slicer

    wheel_folder.mkdir()
    (wheel_folder / "no_such_package_zz-1.0-py3-none-any.whl").write_bytes(b"no zip file")
    interactive.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: True)
    with pytest.raises(UserError, match="could not be installed: check that they are for this system") as caught:
        dependencies.ensureDependencies(requirements)
    assert str(wheel_folder) in caught.value.message
