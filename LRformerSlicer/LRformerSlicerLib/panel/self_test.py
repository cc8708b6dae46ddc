"""Slicer's self test of the module: restores a generated phantom, overlays a map, and cancels.

The phantom is generated, and not downloaded, so that the test runs anywhere; without torch it skips with a reason.
"""

import time

import numpy as np
import slicer

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.choices import Device, Task
from LRformerSlicerLib.scene.dependencies import missingRequirements
from LRformerSlicerLib.scene.overlay import Overlay
from LRformerSlicerLib.scene.views import compositeNode, hasViews, sliceNodes


class SelfTest:
    """The tests, for a ScriptedLoadableModuleTest that says with makeLogic() how a Logic is made."""

    LONGEST_RESTORATION_S = 300

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run every test of the module."""
        self.setUp()
        self.test_InputIsChecked()
        missing = missingRequirements()
        if missing:
            self.delayDisplay(f"Skipped the restoration: these Python packages are missing: {', '.join(missing)}")
            return
        self.setUp()
        self.test_Restore()
        self.setUp()
        self.test_CancelLeavesSceneAsItWas()
        if hasViews():
            self.setUp()
            self.test_OverlayLeavesViewsAsTheyWere()
        else:
            self.delayDisplay("Skipped the overlay: there are no views without a main window")
        self.delayDisplay("Test passed")

    def skipUnlessReady(self):
        """Skip with a reason: unittest, unlike runTest, runs each test by itself."""
        missing = missingRequirements()
        if missing:
            self.skipTest(f"these Python packages are missing: {', '.join(missing)}")

    def test_InputIsChecked(self):
        """A constant volume is refused with a sentence."""
        volume = slicer.util.addVolumeFromArray(np.zeros((3, 32, 32), np.int16))
        volume.CreateDefaultDisplayNodes()
        with self.assertRaisesRegex(UserError, "same value"):
            self.makeLogic().startRestoration(volume)

    def test_Restore(self):
        """A noisy CT phantom comes back on its own grid, less noisy, with its prior and uncertainty."""
        self.skipUnlessReady()
        volume, flatRegion = self.addPhantom()
        noiseBefore = slicer.util.arrayFromVolume(volume)[flatRegion].std()
        logic = self.makeLogic()
        finished, failed = {}, []
        logic.onFinished = lambda inputVolume, nodes, report: finished.update(nodes)
        logic.onFailed = failed.append
        try:
            logic.startRestoration(volume, Task.CT_DENOISE, Device.AUTOMATIC)
            self.waitFor(lambda: finished or failed)
        finally:
            logic.close()
        self.assertEqual(failed, [])
        self.assertLessEqual({"restored", "prior", "uncertainty"}, set(finished))
        restored = slicer.util.arrayFromVolume(finished["restored"])
        self.assertEqual(restored.dtype, np.int16)
        self.assertEqual(finished["restored"].GetSpacing(), volume.GetSpacing())
        self.assertLess(restored[flatRegion].std(), noiseBefore)

    def test_CancelLeavesSceneAsItWas(self):
        """After a cancel there is no new node."""
        self.skipUnlessReady()
        volume, _flatRegion = self.addPhantom()
        nodesBefore = slicer.mrmlScene.GetNumberOfNodes()
        logic = self.makeLogic()
        progress = []
        logic.onProgress = progress.append
        try:
            logic.startRestoration(volume, Task.CT_DENOISE, Device.AUTOMATIC)
            self.waitFor(lambda: progress or not logic.busy)
            self.assertTrue(logic.busy)
            logic.cancelRestoration()
        finally:
            logic.close()
        self.assertFalse(logic.busy)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodesBefore)

    def test_OverlayLeavesViewsAsTheyWere(self):
        """A map over the views, with its legend; off, the views show what they showed."""
        if not hasViews():
            self.skipTest("there are no views without a main window")
        volume, _flatRegion = self.addPhantom()
        slicer.util.setSliceViewerLayers(background=volume)
        mapVolume = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(volume).clip(0, 100) / 100.0)
        mapVolume.CreateDefaultDisplayNodes()
        nodes = sliceNodes()
        self.assertGreater(len(nodes), 0)
        contents = [self.viewContents(compositeNode(node)) for node in nodes]
        overlay = Overlay()
        overlay.show(mapVolume, "Test map", nodes, 0.6, 0.05, False)
        for node in nodes:
            self.assertEqual(compositeNode(node).GetForegroundVolumeID(), mapVolume.GetID())
        self.assertIsNotNone(slicer.modules.colors.logic().GetColorLegendDisplayNode(mapVolume))
        overlay.hide()
        self.assertEqual([self.viewContents(compositeNode(node)) for node in nodes], contents)
        self.assertIsNone(slicer.modules.colors.logic().GetColorLegendDisplayNode(mapVolume))

    def viewContents(self, composite):
        """What a slice view shows, to be compared."""
        volumes = composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID(), composite.GetLabelVolumeID()
        return (*volumes, composite.GetForegroundOpacity(), composite.GetLabelOpacity())

    def addPhantom(self):
        """Three slices of a noisy water disc with a lesion (HU), and the index of a flat region in them."""
        rng = np.random.default_rng(0)
        y, x = np.mgrid[0:128, 0:128] - 63.5
        slices = np.where(x**2 + y**2 < 50**2, 40.0, -1000.0)
        slices[(x - 20) ** 2 + y**2 < 8**2] = 110.0
        voxels = np.repeat(slices[np.newaxis], 3, axis=0) + rng.normal(0, 40, (3, 128, 128))
        volume = slicer.util.addVolumeFromArray(voxels.clip(-1024, 3071).astype(np.int16), name="Phantom")
        volume.SetSpacing(0.8, 0.8, 3.0)
        volume.CreateDefaultDisplayNodes()
        return volume, (slice(None), slice(50, 78), slice(40, 68))

    def waitFor(self, condition):
        """Let Slicer work until `condition()` holds."""
        deadline = time.monotonic() + self.LONGEST_RESTORATION_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, "the worker did not answer in time")
            slicer.app.processEvents()
            time.sleep(0.02)
