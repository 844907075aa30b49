"""Passes and pipelines are found by name; names, files and classes agree."""

import importlib.metadata
import subprocess
import sys

import pytest

from stepwell.passes.base import Pass, register_pass
from stepwell.passes.pipelines.catalogue import find_pipeline, pipeline_names
from stepwell.passes.pipelines.plan import manager_of
from stepwell.passes.pipelines.steps import NativePass, check_anchor
from stepwell.passes.registry import find_native, find_pass, native_dialects, native_passes, pass_names, unknown_pass
from stepwell.support.bindings import ir


def camel(name):
    """Return a kebab-case name in camel case."""
    return "".join(part.capitalize() for part in name.split("-"))


def own_names():
    """Return the names of passes that this package brings."""
    return [name for name in pass_names() if not name.startswith("test-")]


@pytest.mark.parametrize("name", own_names())
def test_name_file_and_class_agree(name):
    """Pass ``graph-dce`` is class ``GraphDcePass`` in ``graph_dce.py``; the verifiers share one file."""
    cls = find_pass(name)
    assert cls is not None, f"the file of '{name}' registers no pass of that name"
    assert cls.name == name
    assert cls.__name__.lower() == f"{camel(name)}Pass".lower()
    stem = cls.__module__.rpartition(".")[2]
    assert stem == ("verify_stage" if name.startswith("verify-") else name.replace("-", "_"))
    assert cls.summary
    assert not cls.summary.endswith(".")


def test_every_registered_pass_is_found_by_name():
    """No file hides a second pass, which its name would not lead to."""
    code = (
        "from stepwell.passes.registry import find_pass, pass_names\n"
        "from stepwell.passes.base import registered_passes\n"
        "names = pass_names()\n"
        "for name in names: find_pass(name)\n"
        "print(sorted(set(registered_passes()) - set(names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", pipeline_names())
def test_named_pipelines_agree_too(name):
    """Pipeline ``cpu-kernel`` is class ``CpuKernelPipeline`` in ``named/cpu_kernel.py``."""
    cls = find_pipeline(name)
    assert cls.name == name
    assert cls.__name__.lower() == f"{camel(name)}Pipeline".lower()
    assert cls.__module__.endswith(f"named.{name.replace('-', '_')}")
    assert find_pass(name) is None
    assert find_native(name) is None


def test_no_name_means_two_passes():
    """No pass of ours is called like one of MLIR's."""
    assert not {*own_names(), *pipeline_names()} & set(native_passes())


def test_finding_a_pass_imports_its_file_alone():
    """Names lead to files without importing the others."""
    code = (
        "import sys; from stepwell.passes.registry import find_pass\n"
        "assert find_pass('verify-graph') is not None\n"
        "print([m for m in sys.modules if m.startswith('stepwell.passes.') and m.count('.') > 2])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "conversion" not in done.stdout
    assert "verify_stage" in done.stdout


def test_unknown_names():
    """An unknown name finds nothing, and its error offers the nearest of all kinds."""
    assert find_pass("nonsense") is None
    assert find_pass("base") is None
    assert find_native("nonsense") is None
    assert unknown_pass("verify-lnalg").fix == "did you mean 'verify-linalg'?"
    assert unknown_pass("canonicalizer").fix == "did you mean 'canonicalize'?"
    assert unknown_pass("my-pipelin", "my-pipeline").fix == "did you mean 'my-pipeline'?"


def test_two_passes_of_one_name_are_an_error():
    """The error names both owners."""

    class FirstPass(Pass):
        name = "test-twice"
        summary = "the first of two"

    class SecondPass(Pass):
        name = "test-twice"
        summary = "the second of two"

    register_pass(FirstPass)
    with pytest.raises(ValueError, match="pass 'test-twice' is defined by both"):
        register_pass(SecondPass)


def test_a_pass_without_its_summary_is_refused():
    """Every list of passes would fail on it, long after."""

    class SilentPass(Pass):
        name = "test-silent"

    with pytest.raises(TypeError, match=r"pass class .*SilentPass needs a string 'summary'"):
        register_pass(SilentPass)
    assert find_pass("test-silent") is None


def test_the_table_is_of_the_installed_release():
    """The table was generated from the release that is installed, and the bindings know all of it."""
    import json
    from pathlib import Path

    import stepwell.passes.registry as registry

    table = json.loads((Path(registry.__file__).parent / "native_passes.json").read_text())
    assert importlib.metadata.version("xtc-mlir-python-bindings").startswith(table["release"])
    context = ir.Context()
    with context:
        for name, info in native_passes().items():
            # On a wrong op some pipelines end the process, so that a fault here would end this one.
            for anchor in (info.anchor or "builtin.module", "any"):
                check_anchor(NativePass(name), anchor)
                manager_of(anchor, [NativePass(name)])
        for name in native_dialects():
            assert context.get_dialect_descriptor(name).namespace == name
