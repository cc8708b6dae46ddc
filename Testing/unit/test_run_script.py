"""Testing/run.py: set-up from nothing, again, and after damage; and what it says where it cannot.

Set-up is run for real, by the real pip and venv, on a small repository whose pins are a package that lies beside it, so
that it needs no network and takes seconds.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import environment
import run
import system_libraries


def make_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel with one module."""
    information = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"version = {version!r}\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{information}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{information}/RECORD": record}.items():
            wheel.writestr(path, text)


BACKEND = '''
"""A build backend for the small repository: what setuptools does for the real one."""
import zipfile
from pathlib import Path

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name, information = "small-1-py3-none-any.whl", "small-1.dist-info"
    files = {
        "small.pth": str(Path.cwd()),
        f"{information}/METADATA": "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{information}/RECORD"] = "".join(f"{path},,\\n" for path in files) + f"{information}/RECORD,,\\n"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    raise NotImplementedError
'''


@pytest.fixture()
def small_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose pins are heavy==1 and light==1, in a folder with a space and an umlaut."""
    repository = tmp_path / "ä folder"
    (repository / "Testing").mkdir(parents=True)
    for name in ("heavy", "light"):
        make_wheel(tmp_path / "wheels", name, "1")
    (repository / "Testing" / "requirements-torch.txt").write_text("heavy==1\n")
    (repository / "Testing" / "requirements.txt").write_text("light==1\n")
    (repository / "backend.py").write_text(BACKEND)
    (repository / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "small"\nversion = "1"\n'
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", (tmp_path / "wheels").as_uri())
    return repository


def installed(repository: Path) -> dict[str, str]:
    return environment.inventory(environment.python_of(repository / ".venv"))["versions"]


def test_set_up_installs_once(small_repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    python = environment.set_up(small_repository)
    first = capfd.readouterr().out
    subprocess.run([python, "-c", "import heavy, light, backend"], check=True)
    stamp = small_repository / ".venv" / environment.STAMP
    written = stamp.stat().st_mtime_ns

    assert environment.set_up(small_repository) == python

    assert "4/4" in first
    assert capfd.readouterr().out == "", "the second time nothing is done"
    assert stamp.stat().st_mtime_ns == written


def test_a_package_that_the_user_adds_is_left_alone(small_repository: Path, tmp_path: Path) -> None:
    python = environment.set_up(small_repository)
    make_wheel(tmp_path / "wheels", "extra", "1")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "extra"], check=True)
    environment.set_up(small_repository)
    assert "extra" in installed(small_repository)


DAMAGES = ["file lost", "package lost", "python lost", "cut short", "empty folder", "stamp torn"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_environment_is_repaired(damage: str, small_repository: Path) -> None:
    folder = small_repository / ".venv"
    if damage == "empty folder":
        folder.mkdir()
    else:
        python = environment.set_up(small_repository)
        library = next(folder.rglob("light/__init__.py")).parent.parent
        if damage == "file lost":
            (library / "light" / "__init__.py").unlink()
        elif damage == "package lost":
            subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "light"], check=True)
        elif damage == "python lost":
            python.unlink()
        elif damage == "cut short":
            # What a pip that was killed leaves: no stamp yet, files and metadata but no record.
            (folder / environment.STAMP).unlink()
            (library / "light-1.dist-info" / "RECORD").unlink()
            (library / "light" / "__init__.py").unlink()
        elif damage == "stamp torn":
            (folder / environment.STAMP).write_text('{"key": "')

    python = environment.set_up(small_repository)

    subprocess.run([python, "-c", "import heavy, light; assert light.version == '1'"], check=True)
    assert json.loads((folder / environment.STAMP).read_text())["versions"]["light"] == "1"


def test_changed_pins_are_installed(small_repository: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    environment.set_up(small_repository)
    make_wheel(tmp_path / "wheels", "light", "2")
    (small_repository / "Testing" / "requirements.txt").write_text("light==2\n")
    capfd.readouterr()
    environment.set_up(small_repository)
    assert installed(small_repository)["light"] == "2"
    assert "Making the environment" not in capfd.readouterr().out, "what is there and whole is kept"


def test_an_environment_whose_folder_was_moved_is_made_anew(
    small_repository: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its scripts name the folder they were installed into."""
    environment.set_up(small_repository)
    moved = small_repository.rename(tmp_path / "moved")
    capfd.readouterr()
    python = environment.set_up(moved)
    assert "Making the environment" in capfd.readouterr().out
    where = subprocess.run([python, "-c", "import backend; print(backend.__file__)"], capture_output=True, text=True)
    assert where.stdout.strip() == str(moved / "backend.py")


def test_a_package_that_cannot_be_had_is_one_sentence_and_leaves_no_stamp(small_repository: Path) -> None:
    (small_repository / "Testing" / "requirements.txt").write_text("missing==1\n")
    with pytest.raises(environment.SetUpError, match="could not be installed .* then run the same command again"):
        environment.set_up(small_repository)
    assert environment.read_stamp(small_repository / ".venv") is None


def test_a_python_without_venv_is_told_which_package_to_install(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = environment.importlib.util.find_spec
    monkeypatch.setattr(
        environment.importlib.util, "find_spec", lambda name, *rest: None if name == "ensurepip" else find(name, *rest)
    )
    with pytest.raises(environment.SetUpError, match="apt-get install python3-venv"):
        environment.set_up(small_repository)
    assert not (small_repository / ".venv").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux leaves these libraries to the system")
def test_missing_system_libraries_are_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert system_libraries.missing_libraries(["libc.so.6", "libNotThere.so.1"]) == ["libNotThere.so.1"]
    monkeypatch.setitem(system_libraries.PACKAGE_OF_LIBRARY, "libNotThere.so.1", "libnotthere1")
    monkeypatch.setattr(system_libraries, "missing_libraries", lambda: ["libNotThere.so.1"])
    with pytest.raises(system_libraries.MissingLibraries, match="libNotThere.so.1.*apt-get install libnotthere1"):
        system_libraries.check()


def test_an_old_python_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    assert run.main(["test"]) == 2
    assert "needs Python 3.10 or newer, and this is Python 3.9" in capsys.readouterr().err


def test_an_old_python_can_read_the_script(repository: Path) -> None:
    ast.parse((repository / "Testing" / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_names_both_commands(arguments: list[str], repository: Path) -> None:
    command = [sys.executable, str(repository / "Testing" / "run.py"), *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "run.py demo" in answer.stdout
    assert "run.py test" in answer.stdout


def test_an_unknown_command_is_refused(repository: Path) -> None:
    command = [sys.executable, str(repository / "Testing" / "run.py"), "tset"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "tset" in answer.stderr


def test_arguments_go_to_pytest_and_its_summary_ends_the_output(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text("def test_one(): pass\ndef test_other(): pass\n")
    program = (
        "import sys, run; from pathlib import Path\n"
        f"sys.exit(run.run_tests(Path(sys.executable), ['-p', 'no:cacheprovider', '-k', 'one', {str(tmp_path)!r}]))"
    )
    environment_with_script = dict(os.environ, PYTHONPATH=str(Path(run.__file__).parent))
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment_with_script, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "1 passed, 1 deselected" in answer.stdout.strip().splitlines()[-1]


def test_ci_runs_the_command_of_the_readme(repository: Path) -> None:
    command = "python3 Testing/run.py test"
    assert (repository / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("\n" + command)
    assert os.access(repository / ".ci" / "run", os.X_OK)
    assert f"\n{command}\n" in (repository / "README.md").read_text(encoding="utf-8")


def test_installed_packages_satisfy_each_other() -> None:
    answer = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
