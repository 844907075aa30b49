"""A sample of each family's mutants is caught; ``make mutation`` judges all of them."""

import os
import random

import pytest
from mutant_verdicts import judge, problem
from mutated_kernels import families
from ptx_edits import OPERATORS, mutants, statements

SAMPLE = 3
QUICK = ("pointwise", "transpose", "row_sums", "softmax", "gemm_f16", "gemm_hopper", "attention")


@pytest.mark.parametrize("name", QUICK)
def test_sample_is_caught(name: str) -> None:
    seed = int(os.environ.get("STEPWELL_TEST_SEED", random.randrange(1 << 30)))
    print(f"STEPWELL_TEST_SEED={seed}")
    family = families(name)[0]
    assert problem(family, family.ptx, seed) is None
    chosen = random.Random(seed).sample(list(mutants(family.ptx, family.entry)), SAMPLE)
    verdicts = [judge(family, mutant) for mutant in chosen]
    assert [str(verdict.mutant) for verdict in verdicts if verdict.kind == "missed"] == []


_TEXT = """
.visible .entry k(.param .u64 p)
{
  // ld.global.u32 %r9, [%d9];
  .reg .b32 %r<9>;
  @%p1 bra $END;
  xor.b32 %r3, %r1, %r2;
  ld.shared.v4.f32 {%f1, %f2, %f3, %f4}, [%r3+16];
  ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%r4}, [%r3];
  cp.async.cg.shared.global [%r1], [%d1], 16;
  cp.async.commit_group;
  cp.async.wait_group 1;
  bar.sync 0;
  fence.proxy.async;
  mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 4096;
  mbarrier.try_wait.parity.shared.b64 %p2, [%r1], %r3;
  shfl.sync.bfly.b32 %r1, %r2, 4, 31, -1;
$END:
  ret;
}
"""


def test_every_operator_finds_its_place() -> None:
    found = {mutant.operator for mutant in mutants(_TEXT, "k")}
    assert found == set(OPERATORS)


def test_comments_and_directives_are_no_statements() -> None:
    assert [statement.opcode for statement in statements(_TEXT, "k")][:2] == ["bra", "xor.b32"]


def test_mutants_differ_from_the_text_in_one_statement() -> None:
    for mutant in mutants(_TEXT, "k"):
        assert mutant.ptx != _TEXT
        assert abs(len(mutant.ptx.splitlines()) - len(_TEXT.splitlines())) <= 1
        assert _TEXT.splitlines()[mutant.line - 1].strip().startswith(mutant.before.split(" ")[0])
