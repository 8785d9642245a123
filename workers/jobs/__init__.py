"""Jobs of the maintenance process: files in, files out, in slices.

run.py               runs any job
specs.py             what a job is to do, and what came of it
drain.py             records of the log become deltas
compact.py           some layers of a segment become one
  compaction_plan.py   which tables are carried, and which stretches are written
  merged_entries.py    the entries of several tables, merged
  part_sizes.py        how large the parts are
adopt.py             a segment made of its parents' files
  clipping.py          a table of which only some keys count
release.py           log files that nothing needs are removed
retire.py            segments that nothing refers to are removed
orphans.py           files that no manifest names
output.py            tables that no manifest names yet
parts.py             parts of a job that do not depend on each other
figures.py           what jobs read and wrote
"""
