"""From graph to machine code.

Read it in this order: `loops` (the intermediate form, one small grammar), `decompose` and
`guards` (still on the graph), the passes `fuse` (with `views` and `assemble`), `merge`,
`vectorise`, `memory`, then `llvm` with `lowering` and `elementary` (one row for each
operation), `native` and `cache`; `function` puts them together for `thalweg.compile`,
`program` for whole training runs.
"""
