"""The README's lines for Slicer's Python console, run as they stand there."""

import re

import pytest

from LRformerSlicerLib.errors import UserError


@pytest.fixture
def module(application, scene):
    """The module as Slicer has it: loaded, its panel closed."""
    from LRformerSlicerLib.weights.folder import EXTENSION_FOLDER

    application.open_module(EXTENSION_FOLDER / "LRformerSlicer.py")
    application.close_module()


def test_the_lines_of_the_readme_restore_a_volume(repository, module, add_ct, scene, checkpoints, capsys):
    import slicer

    blocks = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    code = next(block for block in blocks if "LRformerSlicerLogic" in block)
    assert code.count("\n") == 8
    volume = add_ct(name="CTChest")
    # The shipped networks would take minutes here.
    code = code.replace(
        "logic.restore(", f"logic.restore(model={str(checkpoints['ct-denoise'])!r}, prior='none', inputVolume="
    )
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert slicer.util.arrayFromVolume(names["nodes"]["restored"]).shape == slicer.util.arrayFromVolume(volume).shape
    assert "HU" in capsys.readouterr().out
    assert not names["logic"].busy


def test_restore_raises_what_went_wrong(module, add_ct, checkpoints):
    import LRformerSlicer

    logic = LRformerSlicer.LRformerSlicerLogic()
    with pytest.raises(UserError, match="Choose the volume"):
        logic.restore(None)
    with pytest.raises(UserError, match="/no/such/model"):
        logic.restore(add_ct(), model="/no/such/model.safetensors", prior="none")
    logic.close()


def test_restore_ends_when_it_is_cancelled(module, add_ct, checkpoints):
    import LRformerSlicer

    logic = LRformerSlicer.LRformerSlicerLogic()
    logic.onProgress = lambda event: logic.cancelRestoration()
    with pytest.raises(UserError, match="cancelled"):
        logic.restore(add_ct(slices=60), model=str(checkpoints["ct-denoise"]), prior="none")
    logic.close()
