"""The extension's description says the same thing in CMake, in the .s4ext, in the catalog entry and in pip's files."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def cmake(repository: Path) -> dict[str, str]:
    """EXTENSION_<KEY> of the root CMakeLists.txt; each is one quoted line."""
    text = (repository / "CMakeLists.txt").read_text(encoding="utf-8")
    values = dict(re.findall(r'^set\(EXTENSION_(\w+) "([^"\n]*)"\)', text, re.MULTILINE))
    assert len(values) == text.count("set(EXTENSION_"), "every EXTENSION_ variable is one quoted line"
    return values


@pytest.fixture(scope="module")
def s4ext(repository: Path) -> dict[str, str]:
    lines = (repository / "LRformerSlicer.s4ext").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition(" ") for line in lines if line.strip() and not line.startswith("#")]
    keys = [key for key, _, _ in pairs]
    assert len(keys) == len(set(keys)), "a keyword stands once"
    return {key: value.strip() for key, _, value in pairs}


@pytest.fixture(scope="module")
def catalog(repository: Path) -> dict:
    return json.loads((repository / "LRformerSlicer.json").read_text(encoding="utf-8"))


def requirement_lines(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


SHARED_KEYWORDS = ["homepage", "category", "contributors", "description", "iconurl", "screenshoturls", "depends"]


@pytest.mark.parametrize("key", SHARED_KEYWORDS)
def test_s4ext_says_what_cmake_says(key: str, cmake: dict[str, str], s4ext: dict[str, str]) -> None:
    assert s4ext[key] == cmake[key.upper()]


def test_s4ext_has_exactly_the_keywords_that_slicer_reads(s4ext: dict[str, str]) -> None:
    assert set(s4ext) == {
        *("scm", "scmurl", "scmrevision", "depends", "build_subdirectory", "homepage", "contributors", "category"),
        *("iconurl", "status", "description", "screenshoturls", "enabled"),
    }
    assert s4ext["scm"] == "git"
    assert s4ext["enabled"] == "1"


def test_catalog_entry_says_what_cmake_and_s4ext_say(
    cmake: dict[str, str], s4ext: dict[str, str], catalog: dict
) -> None:
    assert catalog["category"] == cmake["CATEGORY"] == "Filtering"
    assert catalog["build_dependencies"] == cmake["DEPENDS"].split() == ["PyTorch"]
    assert catalog["scm_url"] == s4ext["scmurl"] == cmake["HOMEPAGE"] + ".git"
    assert catalog["scm_revision"] == s4ext["scmrevision"]
    assert catalog["build_subdirectory"] == s4ext["build_subdirectory"]
    assert set(catalog) == {
        *("$schema", "build_dependencies", "build_subdirectory", "category", "scm_revision", "scm_url", "tier")
    }


def test_the_repository_is_named_as_the_index_wants(cmake: dict[str, str]) -> None:
    assert cmake["HOMEPAGE"].rsplit("/", 1)[1].startswith("Slicer")


@pytest.mark.parametrize("key", ["ICONURL", "SCREENSHOTURLS"])
def test_pictures_that_urls_name_are_in_the_repository(key: str, cmake: dict[str, str], repository: Path) -> None:
    for url in cmake[key].split():
        account_and_name = cmake["HOMEPAGE"].removeprefix("https://github.com/")
        inside = url.removeprefix(f"https://raw.githubusercontent.com/{account_and_name}/main/")
        assert (repository / inside).is_file(), f"{key} names {inside}, which is not there"


@pytest.mark.parametrize(
    "path", ["Resources/Icons/LRformerSlicer.png", "LRformerSlicer/Resources/Icons/LRformerSlicer.png"]
)
def test_icons_are_png_of_128_pixels(path: str, repository: Path) -> None:
    header = (repository / path).read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:24]) == (128, 128)


def test_licence_is_apache_2_in_full(repository: Path) -> None:
    text = (repository / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_what_slicer_installs_never_replaces_what_slicer_or_pytorch_utils_bring(repository: Path) -> None:
    lines = requirement_lines(repository / "LRformerSlicer" / "Resources" / "requirements.txt")
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+>=[0-9][0-9.]*", line), f"{line}: a lower bound and nothing else"
    names = {line.split(">=")[0].lower() for line in lines}
    assert not names & {"numpy", "scipy", "simpleitk", "requests", "vtk", "torch", "torchvision"}


def test_pip_and_slicer_get_the_same_requirements(repository: Path) -> None:
    ours = set(requirement_lines(repository / "LRformerSlicer" / "Resources" / "requirements.txt"))
    project = (repository / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)[1]
    listed = set(re.findall(r'^  "([^"]+)",$', block, re.MULTILINE))
    assert ours < listed
    # nibabel and pydicom read what the command line is given; Slicer hands volumes over as NRRD.
    theirs = {"numpy", "scipy", "SimpleITK", "torch"}
    assert {line.split(">=")[0] for line in listed - ours} == theirs | {"nibabel", "pydicom"}


def test_pins_name_every_direct_requirement_exactly(repository: Path) -> None:
    def name(line: str) -> str:
        return re.split(r"[=<>; ]", line)[0].lower().replace("_", "-")

    pins = requirement_lines(repository / "Testing" / "requirements.txt")
    pins += requirement_lines(repository / "Testing" / "requirements-torch.txt")
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*( ; .+)?", pin) for pin in pins)
    direct = requirement_lines(repository / "Testing" / "requirements.in")
    direct += requirement_lines(repository / "LRformerSlicer" / "Resources" / "requirements.txt")
    assert {name(line) for line in direct} <= {name(pin) for pin in pins}
