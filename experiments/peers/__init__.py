"""The systems that the benchmark times: one file each, run in a process of its own.

A file has ``prepare(workload, folder) -> (repeat, facts)``. ``prepare`` builds,
compiles and warms up; ``repeat()`` trains at least ``workload.steps`` steps of every
member (or all steps of one model, where a system trains one at a time), waits for the
device, and returns how many steps of single members it has done. ``facts`` are what the
table says of the system: versions, threads, ``compile_s``. A file that needs a package
that is not installed raises ImportError.
"""
