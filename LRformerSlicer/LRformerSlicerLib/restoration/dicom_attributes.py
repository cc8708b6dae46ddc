"""The DICOM attributes that tell the volumes of one series apart: keyword and functional group, or private element."""

from __future__ import annotations

ALIKE = {
    "echo": ("EchoNumbers", None),
    "echo time": ("EchoTime", None),
    "effective echo time": ("EffectiveEchoTime", "MREchoSequence"),
    "temporal position": ("TemporalPositionIdentifier", None),
    "time": ("TemporalPositionIndex", "FrameContentSequence"),
    "stack": ("StackID", "FrameContentSequence"),
    "component": ("ComplexImageComponent", "MRImageFrameTypeSequence"),
    "b": ("DiffusionBValue", "MRDiffusionSequence"),
}
"""What is alike in all slices of one volume: keyword, and the functional group that holds it in an enhanced image."""
MAY_DIFFER = {
    "acquisition": ("AcquisitionNumber", None),
    "frame acquisition": ("FrameAcquisitionNumber", "FrameContentSequence"),
    "inversion time": ("InversionTime", None),
    "flip angle": ("FlipAngle", "MRTimingAndRelatedParametersSequence"),
    "repetition time": ("RepetitionTime", "MRTimingAndRelatedParametersSequence"),
    "diffusion direction": ("DiffusionGradientOrientation", "MRDiffusionSequence/DiffusionGradientDirectionSequence"),
    "directionality": ("DiffusionDirectionality", "MRDiffusionSequence"),
    "sequence": ("SequenceName", None),
    "contrast": ("ContrastBolusAgent", None),
    "cardiac phase": ("NominalPercentageOfCardiacPhase", "CardiacSynchronizationSequence"),
    "thickness": ("SliceThickness", "PixelMeasuresSequence"),
    "description": ("SeriesDescription", None),
    "rescale type": ("RescaleType", "PixelValueTransformationSequence"),
    "kVp": ("KVP", None),
    "kernel": ("ConvolutionKernel", None),
    "trigger time": ("TriggerTime", None),
    "trigger delay": ("NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence"),
    "acquisition time": ("AcquisitionTime", None),
    "content time": ("ContentTime", None),
}
"""What may differ from slice to slice, and tells volumes apart where several slices lie at one place."""


PRIVATE_B_VALUES = (
    (0x0019, "SIEMENS MR HEADER", 0x0C),
    (0x0043, "GEMS_PARM_01", 0x39),
    (0x2001, "Philips Imaging DD 001", 0x03),
)
PRIVATE_DIRECTIONS = (
    (0x0019, "SIEMENS MR HEADER", 0x0E),
    (0x0019, "GEMS_ACQU_01", 0xBB),
    (0x2005, "Philips MR Imaging DD 005", 0x13),
    (0x2001, "Philips Imaging DD 001", 0x04),
)
