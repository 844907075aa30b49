"""Registers that a thread may still read."""

from stepwell.runtime.simulator.instructions import register_all
from stepwell.runtime.simulator.machine.program import Program
from stepwell.runtime.simulator.ptx.parser import parse


def live(body: str) -> list[set[str]]:
    """Return the names of the live registers before each instruction, and at the end."""
    register_all()
    text = f""".version 8.0
.target sm_80
.address_size 64
.entry k() {{ .reg .b32 a, b, c; .reg .b64 d; .reg .pred p;
{body} }}"""
    program = Program(parse(text).entries["k"])
    names = {0: "a", 1: "b", 2: "c", 3: "d", 4: "p"}
    return [{name for slot, name in names.items() if bits >> slot & 1} for bits in program.live]


def test_straight_code() -> None:
    assert live("mov.u32 a, 1; add.u32 b, a, a; st.shared.u32 [c], b; ret;") == [
        {"c"},
        {"a", "c"},
        {"b", "c"},
        set(),
        set(),
    ]


def test_loops_keep_what_comes_around() -> None:
    found = live("L: add.u32 a, a, b; setp.lt.u32 p, a, c; @p bra L; st.shared.u32 [c], a; ret;")
    assert found == [{"a", "b", "c"}, {"a", "b", "c"}, {"a", "b", "c", "p"}, {"a", "c"}, set(), set()]


def test_a_guarded_write_keeps_the_old_value() -> None:
    assert live("@p mov.u32 a, 1; st.shared.u32 [d], a; ret;")[0] == {"a", "d", "p"}
    assert live("mov.u32 a, 1; st.shared.u32 [d], a; ret;")[0] == {"d"}


def test_what_is_not_known_to_be_only_written_is_read() -> None:
    assert live("prmt.b32 a, b, b, c; ret;")[0] == {"b", "c"}
    assert live("redux.sync.add.u32 a, b, c; ret;")[0] == {"a", "b", "c"}
