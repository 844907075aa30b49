"""Passes and pipelines: everything that takes a module from one stage to the next."""
