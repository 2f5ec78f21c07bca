"""Lines of LLVM assembly that are written in turn."""

from thalweg.compiler.assembly import Assembly, Builder, Value

NAMES = ("%a", "%b", "%c")


def written(branches: bool = False) -> list[str]:
    """Two instructions on a value, for each value, side by side."""
    code = Assembly()
    one = Builder(code, 4, "float32")

    def body(x: Value) -> Value:
        y = one.fadd(x, one.constant(1.0))
        if branches:
            return code.choose(Value("%large", "i1"), lambda: y, lambda: x)
        return one.fmul(y, y)

    code.side_by_side(lambda x=x: body(Value(x, one.type)) for x in NAMES)
    return [line.split()[2 if "=" in line else 0] for line in code.lines]


def test_chains_are_written_in_turn():
    assert written() == ["fadd"] * 3 + ["fmul"] * 3


def test_what_branches_stays_whole():
    kinds = written(branches=True)
    assert kinds.count("phi") == 3
    assert kinds.index("phi") < len(kinds) - 1 - kinds[::-1].index("fadd")


def test_what_is_written_already_leaves_no_gap():
    code = Assembly()
    code.side_by_side([lambda: code.do("first"), lambda: None, lambda: code.do("third")])
    code.side_by_side([])
    assert [line.strip() for line in code.lines] == ["first", "third"]
