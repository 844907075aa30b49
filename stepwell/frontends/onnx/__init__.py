"""Import ONNX models."""

from stepwell.frontends.onnx.model import from_onnx

__all__ = ["from_onnx"]
