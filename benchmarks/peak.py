"""The most a single thread can do: chains of fused multiply-adds in registers.

Twelve independent chains cover the latency of two multiply-add units and still leave
registers for the operands on 16-register machines.
"""

import ctypes
from time import perf_counter

import llvmlite.binding as llvm
from llvmlite import ir

from benchmarks.peers import Run

__all__ = ["FLOPS_PER_STEP", "peak_run", "vector_bits"]

CHAINS = 12
FLOPS_PER_STEP = 10**6
"""A step of the peak run stands for this many operations."""

SCALE, SHIFT = 0.999, 0.001


def vector_bits() -> int:
    """The widest vector registers of this machine."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 512
    return 256 if features.get("avx") else 128


def peak_run(dtype: str) -> Run:
    """A run whose seconds per step are those of FLOPS_PER_STEP multiply-add operations."""
    lanes = vector_bits() // (32 if dtype == "float32" else 64)
    engine = _compile(str(_module(dtype, lanes)))
    chains = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(
        engine.get_function_address("chains")
    )
    sink = (ctypes.c_double * 8)()
    flops_per_turn = 2 * CHAINS * lanes

    def run(steps: int) -> float:
        assert engine  # its code must outlive every call
        turns = -(-steps * FLOPS_PER_STEP // flops_per_turn)
        start = perf_counter()
        chains(turns, ctypes.addressof(sink))
        return (perf_counter() - start) * FLOPS_PER_STEP / (turns * flops_per_turn)

    return run


def _module(dtype: str, lanes: int) -> ir.Module:
    """void chains(turns, sink): x[i] = SCALE * x[i] + SHIFT for every chain, turns times."""
    scalar = ir.FloatType() if dtype == "float32" else ir.DoubleType()
    vector, count = ir.VectorType(scalar, lanes), ir.IntType(64)
    module = ir.Module("peak")
    signature = ir.FunctionType(ir.VoidType(), [count, vector.as_pointer()])
    function = ir.Function(module, signature, "chains")
    before, loop, after = (function.append_basic_block(n) for n in ("before", "loop", "after"))
    ir.IRBuilder(before).branch(loop)

    body = ir.IRBuilder(loop)
    turn, values = body.phi(count), [body.phi(vector) for _ in range(CHAINS)]
    scale, shift = vector([SCALE] * lanes), vector([SHIFT] * lanes)
    multiply_add = _multiply_add(module, vector)
    updated = [body.call(multiply_add, [value, scale, shift]) for value in values]
    following = body.add(turn, count(1))
    body.cbranch(body.icmp_signed("<", following, function.args[0]), loop, after)

    turn.add_incoming(count(0), before)
    turn.add_incoming(following, loop)
    for chain, value in enumerate(values):
        value.add_incoming(vector([1.0 + chain] * lanes), before)
        value.add_incoming(updated[chain], loop)

    # Every chain must reach memory, or it would be removed as dead code.
    end = ir.IRBuilder(after)
    total = updated[0]
    for result in updated[1:]:
        total = end.fadd(total, result)
    end.store(total, function.args[1], align=8)
    end.ret_void()
    return module


def _multiply_add(module: ir.Module, vector: ir.VectorType) -> ir.Function:
    name = f"llvm.fma.v{vector.count}{vector.element.intrinsic_name}"
    return ir.Function(module, ir.FunctionType(vector, [vector] * 3), name)


def _target_machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )


def _compile(text: str) -> llvm.ExecutionEngine:
    module = llvm.parse_assembly(text)
    module.verify()
    engine = llvm.create_mcjit_compiler(module, _target_machine())
    engine.finalize_object()
    return engine
