"""How threads hand each other native functions without Python: a box for each, in memory.

Python's lock changes hands in 26 µs, a cache line in 0.3. So a worker stays in native code: it
looks at its box until a task lies in it, runs it, says that it is done, and looks again; it comes
back to Python to sleep, or for a task of Python's, which is done when it looks again. The caller
fills the boxes, does its own share, and waits.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from thalweg.compiler.native import NativeCode
from thalweg.compiler.target import YIELD

__all__ = [
    "ASLEEP",
    "BOX",
    "FINISHED",
    "PARAMETERS",
    "PUBLISH",
    "THREAD",
    "THREADS",
    "WORDS",
    "WORK",
    "native_calls",
]

LINE = 16
"""Numbers of eight bytes that keep what two threads write on different cache lines."""

FINISHED, ASLEEP, FUNCTION, BOX = LINE, 2 * LINE, 3 * LINE, 4 * LINE
"""Places in a worker's box, which begins with the number of its last task: the number of the last
one it has done, whether it sleeps, and the native function of the task (none if it is Python's)
with its eight words; how large a box is."""

PUBLISH, WORK = 1, 2
"""What the caller does: hand out a task; do its own share and wait for the others."""

WORDS = 8
THREAD, THREADS = 5, 6
"""Which of the words are the number of the thread and how many there are."""

PARAMETERS = (
    "ptr noalias %arguments, i64 %w1, i64 %w2, i64 %w3, i64 %w4, i64 %thread, i64 %threads, i64 %w7"
)
"""Those of a native task whose first word points to its arguments."""


def _spin(name: str, place: str, old: str, then: str) -> str:
    """Look at a place until it differs from `old`, offering the processor every now and then.

    Goes on at `then`; after each offer at ``name.offered``, which decides whether to look again.
    """
    return f"""
{name}:
  br label %{name}.round
{name}.round:
  %{name}.number = phi i64 [ 0, %{name} ], [ %{name}.following, %{name}.again ]
  br label %{name}.look
{name}.look:
  %{name}.turn = phi i64 [ 0, %{name}.round ], [ %{name}.next, %{name}.same ]
  %{name}.now = load atomic i64, ptr {place} acquire, align 8
  %{name}.changed = icmp ne i64 %{name}.now, {old}
  br i1 %{name}.changed, label %{then}, label %{name}.same
{name}.same:
  %{name}.next = add i64 %{name}.turn, 1
  %{name}.tired = icmp sgt i64 %{name}.next, 100
  br i1 %{name}.tired, label %{name}.offer, label %{name}.look
{name}.offer:
  %{name}.ignored = call i32 @{YIELD}()
  %{name}.following = add i64 %{name}.number, 1
  br label %{name}.offered
{name}.again:
  br label %{name}.round
"""


def _load_words(place: str, mark: str) -> list[str]:
    """Lines that load a task's words as ``%{mark}w0``, ``%{mark}w1``, ..."""
    lines = []
    for k in range(WORDS):
        lines.append(f"%{mark}p{k} = getelementptr i64, ptr {place}, i64 {k}")
        lines.append(f"%{mark}w{k} = load i64, ptr %{mark}p{k}, align 8")
    return lines


def _call_words(place: str, mark: str) -> str:
    """Call the function ``%{mark}function`` with the words at a place."""
    words = ", ".join(f"i64 %{mark}w{k}" for k in range(1, WORDS))
    return "\n  ".join(
        [
            *_load_words(place, mark),
            f"%{mark}table = inttoptr i64 %{mark}w0 to ptr",
            f"call void %{mark}function(ptr %{mark}table, {words})",
        ]
    )


def _copy_words(source: str, target: str) -> str:
    """Copy the words for one worker, whose number takes the place of the caller's."""
    lines = _load_words(source, "c")
    for k in range(WORDS):
        value = "%worker" if k == THREAD else f"%cw{k}"
        lines.append(f"%t{k} = getelementptr i64, ptr {target}, i64 {k}")
        lines.append(f"store i64 {value}, ptr %t{k}, align 8")
    return "\n  ".join(lines)


SERVE = f"""
declare i32 @{YIELD}()
define i64 @serve(ptr %box, i64 %start, i64 %rounds) #0 {{
entry:
  %finished = getelementptr i64, ptr %box, i64 {FINISHED}
  %asleep = getelementptr i64, ptr %box, i64 {ASLEEP}
  %place = getelementptr i64, ptr %box, i64 {FUNCTION}
  %words = getelementptr i64, ptr %place, i64 1
  store atomic i64 %start, ptr %finished release, align 8
  store atomic i64 0, ptr %asleep seq_cst, align 8
  br label %idle
idle:
  %seen = phi i64 [ %start, %entry ], [ %number, %native ]
  br label %wait
{_spin("wait", "%box", "%seen", "given")}
wait.offered:
  %enough = icmp sge i64 %wait.following, %rounds
  br i1 %enough, label %doze, label %wait.again
doze:
  store atomic i64 1, ptr %asleep seq_cst, align 8
  %last = load atomic i64, ptr %box seq_cst, align 8
  %late = icmp ne i64 %last, %seen
  br i1 %late, label %awake, label %sleep
awake:
  store atomic i64 0, ptr %asleep seq_cst, align 8
  br label %given
sleep:
  ret i64 %seen
given:
  %number = add i64 %seen, 1
  %afunction = load ptr, ptr %place, align 8
  %python = icmp eq ptr %afunction, null
  br i1 %python, label %back, label %native
back:
  %negative = sub i64 0, %number
  ret i64 %negative
native:
  {_call_words("%words", "a")}
  store atomic i64 %number, ptr %finished release, align 8
  br label %idle
}}
attributes #0 = {{ nounwind }}
"""

CONDUCT = f"""
declare i32 @{YIELD}()
define i64 @conduct(ptr %boxes, i64 %workers, ptr %bfunction, ptr %words, i64 %what) #0 {{
entry:
  %wished = and i64 %what, {PUBLISH}
  %publishes = icmp ne i64 %wished, 0
  br i1 %publishes, label %hand, label %published
hand:
  %worker = phi i64 [ 1, %entry ], [ %following, %hand ]
  %sleepers = phi i64 [ 0, %entry ], [ %more, %hand ]
  %offset = mul i64 %worker, {BOX}
  %box = getelementptr i64, ptr %boxes, i64 %offset
  %place = getelementptr i64, ptr %box, i64 {FUNCTION}
  store ptr %bfunction, ptr %place, align 8
  %target = getelementptr i64, ptr %place, i64 1
  {_copy_words("%words", "%target")}
  %before = load i64, ptr %box, align 8
  %after = add i64 %before, 1
  store atomic i64 %after, ptr %box seq_cst, align 8
  %flag = getelementptr i64, ptr %box, i64 {ASLEEP}
  %asleep = load atomic i64, ptr %flag seq_cst, align 8
  %more = add i64 %sleepers, %asleep
  %following = add i64 %worker, 1
  %all = icmp sgt i64 %following, %workers
  br i1 %all, label %handed, label %hand
handed:
  %some = icmp ne i64 %more, 0
  br i1 %some, label %ring, label %published
ring:
  ret i64 1
published:
  %wish = and i64 %what, {WORK}
  %works = icmp ne i64 %wish, 0
  br i1 %works, label %work, label %done
work:
  %python = icmp eq ptr %bfunction, null
  br i1 %python, label %join, label %native
native:
  {_call_words("%words", "b")}
  br label %join
join:
  %other = phi i64 [ 1, %work ], [ 1, %native ], [ %next, %joined ]
  %shift = mul i64 %other, {BOX}
  %its = getelementptr i64, ptr %boxes, i64 %shift
  %wanted = load i64, ptr %its, align 8
  %finished = getelementptr i64, ptr %its, i64 {FINISHED}
  %old = sub i64 %wanted, 1
  br label %wait
{_spin("wait", "%finished", "%old", "joined")}
wait.offered:
  br label %wait.again
joined:
  %next = add i64 %other, 1
  %last = icmp sgt i64 %next, %workers
  br i1 %last, label %done, label %join
done:
  ret i64 0
}}
attributes #0 = {{ nounwind }}
"""


@lru_cache(maxsize=1)
def native_calls() -> tuple[Any, Any, Any]:
    """What workers and the caller run, and the code that must live as long."""
    codes = NativeCode(SERVE, "serve"), NativeCode(CONDUCT, "conduct")
    box, number = ctypes.c_void_p, ctypes.c_int64
    serve = ctypes.CFUNCTYPE(number, box, number, number)(codes[0].address)
    conduct = ctypes.CFUNCTYPE(number, box, number, box, box, number)(codes[1].address)
    return serve, conduct, codes
