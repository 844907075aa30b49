"""Import PyTorch exported programs."""

from stepwell.frontends.torch.program import detach_params, from_exported_program, load_exported_program

__all__ = ["detach_params", "from_exported_program", "load_exported_program"]
