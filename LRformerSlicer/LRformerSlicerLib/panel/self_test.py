"""Slicer's self test of the module: restores a part of Slicer's sample CTChest, overlays a map, and cancels.

Where the sample cannot be downloaded a generated phantom takes its place, so that the test runs anywhere; without torch
it skips with a reason.
"""

import time

import numpy as np
import slicer
import vtk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.choices import Device, Task
from LRformerSlicerLib.scene.dependencies import missingRequirements
from LRformerSlicerLib.scene.overlay import Overlay
from LRformerSlicerLib.scene.sample_data import loadSampleVolume
from LRformerSlicerLib.scene.views import compositeNode, hasViews, sliceNodes


class SelfTest:
    """The tests, for a ScriptedLoadableModuleTest that says with makeLogic() how a Logic is made."""

    LONGEST_RESTORATION_S = 300
    PANEL_FOLLOWS_S = 0.5
    SAMPLE, SAMPLE_SLICES, SAMPLE_PIXELS = "CTChest", 3, 128
    isSampleMissing = False
    """Of the class: where there is no internet, one test has waited for it, and the others need not."""

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
        """A CT comes back on its own grid, less noisy, with its prior and uncertainty."""
        self.skipUnlessReady()
        volume = self.addScan()
        logic = self.makeLogic()
        finished, reports, failed = {}, [], []
        logic.onFinished = lambda inputVolume, nodes, report: (finished.update(nodes), reports.append(report))
        logic.onFailed = failed.append
        try:
            logic.startRestoration(volume, Task.CT_DENOISE, Device.AUTOMATIC)
            self.waitFor(lambda: finished or failed)
        finally:
            logic.close()
        self.assertEqual(failed, [])
        self.assertLessEqual({"restored", "prior", "uncertainty"}, set(finished))
        restored = slicer.util.arrayFromVolume(finished["restored"])
        self.assertEqual(restored.dtype, slicer.util.arrayFromVolume(volume).dtype)
        self.assertEqual(restored.shape, slicer.util.arrayFromVolume(volume).shape)
        self.assertEqual(finished["restored"].GetSpacing(), volume.GetSpacing())
        change = reports[0]["change"]
        self.assertNotEqual(change["largest_change"], 0)
        if change["noise_sd_before"] is not None:  # a scan may have no flat patch to measure it in
            self.assertLess(change["noise_sd_after"], change["noise_sd_before"])

    def test_CancelLeavesSceneAsItWas(self):
        """After a cancel there is no new node."""
        self.skipUnlessReady()
        volume = self.addScan()
        self.letPanelFollow()
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
        volume = self.addScan()
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

    def addScan(self):
        """The middle of Slicer's sample, or a phantom where that cannot be had."""
        if not SelfTest.isSampleMissing:
            try:
                return self.addMiddleOf(loadSampleVolume(self.SAMPLE))
            except UserError as error:
                SelfTest.isSampleMissing = True
                self.delayDisplay(f"A generated phantom takes the place of {self.SAMPLE}: {error.message}")
        return self.addPhantom()

    def addMiddleOf(self, whole):
        """A few slices from the middle of `whole`, which goes: all of it would take minutes without a graphics card."""
        voxels = slicer.util.arrayFromVolume(whole)
        sizes = self.SAMPLE_SLICES, self.SAMPLE_PIXELS, self.SAMPLE_PIXELS
        first = [max(0, (there - wanted) // 2) for there, wanted in zip(voxels.shape, sizes, strict=True)]
        part = tuple(slice(start, start + size) for start, size in zip(first, sizes, strict=True))
        volume = slicer.util.addVolumeFromArray(voxels[part].copy(), name=f"{whole.GetName()} middle")
        matrix = vtk.vtkMatrix4x4()
        whole.GetIJKToRASMatrix(matrix)
        origin = matrix.MultiplyPoint((*first[::-1], 1))
        for row in range(3):
            matrix.SetElement(row, 3, origin[row])
        volume.SetIJKToRASMatrix(matrix)
        volume.CreateDefaultDisplayNodes()
        slicer.mrmlScene.RemoveNode(whole)
        return volume

    def addPhantom(self):
        """Three slices of a noisy water disc with a lesion, in HU."""
        rng = np.random.default_rng(0)
        y, x = np.mgrid[0:128, 0:128] - 63.5
        slices = np.where(x**2 + y**2 < 50**2, 40.0, -1000.0)
        slices[(x - 20) ** 2 + y**2 < 8**2] = 110.0
        voxels = np.repeat(slices[np.newaxis], 3, axis=0) + rng.normal(0, 40, (3, 128, 128))
        volume = slicer.util.addVolumeFromArray(voxels.clip(-1024, 3071).astype(np.int16), name="Phantom")
        volume.SetSpacing(0.8, 0.8, 3.0)
        volume.CreateDefaultDisplayNodes()
        return volume

    def letPanelFollow(self):
        """An open panel chooses a volume that comes into an empty scene, and makes its settings node."""
        deadline = time.monotonic() + self.PANEL_FOLLOWS_S
        self.waitFor(lambda: time.monotonic() > deadline)

    def waitFor(self, condition):
        """Let Slicer work until `condition()` holds."""
        deadline = time.monotonic() + self.LONGEST_RESTORATION_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, "the worker did not answer in time")
            slicer.app.processEvents()
            time.sleep(0.02)
