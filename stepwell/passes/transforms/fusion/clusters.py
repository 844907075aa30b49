"""Groups of nodes that grow by merging, kept in an order in which every group comes after those it reads.

Merging two groups is legal unless a path between them leads through a third.  The order makes that cheap to decide:
such a path can only run over groups that stand between the two, so only that window is searched, and only it is
rearranged after a merge (Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic graphs", 2006).
Groups that stand far apart do not merge: that bounds the work, and keeping a tensor out of memory over such a distance
means keeping its inputs alive instead.
"""

from dataclasses import dataclass, field

from stepwell.passes.transforms.fusion.nodes import Node

WINDOW = 1024
"""How far apart two groups may stand, in ops of the function."""


@dataclass(eq=False)
class Group:
    """Nodes that become one kernel.

    Attributes:
        position: place in the order.
        nodes: members, in no particular order.
        sources: groups that members read from.
        readers: groups that read from members.
    """

    position: int
    nodes: list[Node] = field(default_factory=list)
    sources: set["Group"] = field(default_factory=set)
    readers: set["Group"] = field(default_factory=set)


class Clusters:
    """All groups of a function.

    A reshape, which belongs to no kernel, is a group here too, so that paths through it are seen.
    """

    def __init__(self) -> None:
        self._order: list[Group | None] = []
        self._group: dict[Node, Group] = {}

    def add(self, node: Node, sources: list[Node]) -> Group:
        """Append a group of one node, which reads from ``sources``."""
        group = Group(len(self._order), [node])
        self._order.append(group)
        self._group[node] = group
        for source in sources:
            self._connect(self._group[source], group)
        return group

    def group(self, node: Node) -> Group:
        """Return the group that a node is in."""
        return self._group[node]

    def ordered(self) -> list[Group]:
        """Return all groups, each after those it reads from."""
        return [group for group in self._order if group is not None]

    @staticmethod
    def _connect(source: Group, reader: Group) -> None:
        if source is not reader:
            source.readers.add(reader)
            reader.sources.add(source)

    def merge(self, first: Group, second: Group) -> bool:
        """Put two groups together, unless a third one stands between them; tell whether that was done."""
        if first.position > second.position:
            first, second = second, first
        start, end = first.position, second.position
        if end - start > WINDOW:
            return False
        reached = self._reached(first, second)
        if any(group in reached for group in second.sources):
            return False
        window = [group for group in self._order[start : end + 1] if group not in (None, first, second)]
        before = [group for group in window if group not in reached]
        after = [group for group in window if group in reached]
        arranged: list[Group | None] = [*before, first, *after]
        arranged += [None] * (end + 1 - start - len(arranged))
        for position, group in enumerate(arranged, start):
            self._order[position] = group
            if group is not None:
                group.position = position
        self._absorb(first, second)
        return True

    def _reached(self, first: Group, second: Group) -> set[Group]:
        """Return the groups before ``second`` that can be reached from ``first``."""
        reached: set[Group] = set()
        pending = [first]
        while pending:
            for reader in pending.pop().readers:
                if reader.position < second.position and reader not in reached:
                    reached.add(reader)
                    pending.append(reader)
        return reached

    def _absorb(self, group: Group, other: Group) -> None:
        group.nodes += other.nodes
        for node in other.nodes:
            self._group[node] = group
        for source in other.sources:
            source.readers.discard(other)
            self._connect(source, group)
        for reader in other.readers:
            reader.sources.discard(other)
            self._connect(group, reader)
        group.sources.discard(other)
        group.readers.discard(other)
