"""Print the IR around passes, in the form and the order of MLIR's own printing instrumentation."""

import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from stepwell.passes.pipelines.instruments import Instrument, PassEvent

__all__ = ["AsmFlags", "PrintIR"]


@dataclass(frozen=True)
class AsmFlags:
    """How IR is turned into text; the names are those of the bindings' printer.

    Attributes:
        large_elements_limit: elide constants with more elements than this.
        large_resource_limit: elide resources of more characters than this.
        enable_debug_info: print locations.
        pretty_debug_info: print them in a form for readers, which does not parse.
        print_generic_op_form: print every op in the generic form.
        use_local_scope: print aliases and locations inline.
        use_name_loc_as_prefix: name values after their locations.
        skip_regions: print ops without what is inside them.
    """

    large_elements_limit: int | None = None
    large_resource_limit: int | None = None
    enable_debug_info: bool = False
    pretty_debug_info: bool = False
    print_generic_op_form: bool = False
    use_local_scope: bool = False
    use_name_loc_as_prefix: bool = False
    skip_regions: bool = False

    def text(self, op: Any) -> str:
        """Return ``op`` as text; MLIR ends some forms with a line end, and some not."""
        return str(self._asm(op, self.use_local_scope))

    def local_text(self, op: Any) -> str:
        """Return ``op`` as text; one that is inside another is printed with local scope."""
        return str(self._asm(op, self.use_local_scope or op.parent is not None))

    def _asm(self, op: Any, local_scope: bool) -> Any:
        # Zero is a limit; only None means no limit.
        flags = {name: value for name, value in vars(self).items() if value is not None}
        return op.get_asm(**{**flags, "use_local_scope": local_scope})


@dataclass
class PrintIR(Instrument):
    """Prints the IR before and after passes.

    Attributes:
        before_passes: names of passes, or True for all.
        after_passes: names of passes, or True for all.
        after_change: print after a pass only where it changed the IR.
        after_failure: print after a pass only where it failed.
        module_scope: print the whole module, not only the op the pass runs on.
        tree_directory: write files into folders named after the ops, instead of to ``stream``.
        flags: how IR is printed.
        stream: where to print; stderr by default.
    """

    before_passes: Collection[str] | bool = False
    after_passes: Collection[str] | bool = False
    after_change: bool = False
    after_failure: bool = False
    module_scope: bool = False
    tree_directory: Path | None = None
    flags: AsmFlags = AsmFlags()
    stream: TextIO | None = None
    _fingerprints: list[str] = field(default_factory=list)
    _printed: dict[Path, int] = field(default_factory=dict)

    def before(self, event: PassEvent) -> None:
        """Print before the pass, and remember what the IR was."""
        if _chosen(self.before_passes, event):
            self._print(event, f"// -----// IR Dump Before {event.title} ({event.name})")
        if self.after_change:
            self._fingerprints.append(_fingerprint(event.op))

    def after(self, event: PassEvent) -> None:
        """Print after the pass."""
        changed = not self.after_change or self._fingerprints.pop() != _fingerprint(event.op)
        if _chosen(self.after_passes, event) and changed and not self.after_failure:
            self._print(event, f"// -----// IR Dump After {event.title} ({event.name})")

    def failed(self, event: PassEvent) -> None:
        """Print what the pass left."""
        if self.after_change:
            self._fingerprints.pop()
        if _chosen(self.after_passes, event):
            self._print(event, f"// -----// IR Dump After {event.title} Failed ({event.name})")

    def _print(self, event: PassEvent, banner: str) -> None:
        if self.module_scope:
            symbol = f": @{_symbol(event.op)}" if "sym_name" in event.op.attributes else ""
            root = _ancestors(event.op)[-1]
            text = f"{banner} ('{event.op.name}' operation{symbol}) //----- //\n{self.flags.text(root)}"
        else:
            text = f"{banner} //----- //\n{self.flags.local_text(event.op)}"
        text += "\n\n"
        if self.tree_directory is not None:
            self._write(event, text)
        else:
            stream = self.stream or sys.stderr
            stream.write(text)
            stream.flush()

    def _write(self, event: PassEvent, text: str) -> None:
        """Write into ``<op>_<symbol>/<op>_<symbol>/<counters>_<pass>.mlir``; each op counts its own files."""
        assert self.tree_directory is not None
        names = [_folder(op) for op in reversed(_ancestors(event.op))]
        folders = [self.tree_directory.joinpath(*names[: depth + 1]) for depth in range(len(names))]
        for folder in folders[:-1]:
            self._printed.setdefault(folder, 0)
        self._printed[folders[-1]] = self._printed.get(folders[-1], -1) + 1
        folders[-1].mkdir(parents=True, exist_ok=True)
        counters = "_".join(str(self._printed[folder]) for folder in folders)
        (folders[-1] / f"{counters}_{event.name}.mlir").write_text(text)


def _chosen(passes: Collection[str] | bool, event: PassEvent) -> bool:
    return passes if isinstance(passes, bool) else event.name in passes


def _fingerprint(op: Any) -> str:
    return str(op.get_asm(enable_debug_info=True, print_generic_op_form=True, use_local_scope=True))


def _ancestors(op: Any) -> list[Any]:
    """Return ``op`` and the ops around it, innermost first."""
    found = [op]
    while (parent := found[-1].parent) is not None:
        found.append(parent.operation)
    return found


def _symbol(op: Any) -> str:
    return str(op.attributes["sym_name"])[1:-1]


def _folder(op: Any) -> str:
    symbol = _symbol(op) if "sym_name" in op.attributes else "no-symbol-name"
    return f"{op.name.replace('.', '_')}_{symbol}"
