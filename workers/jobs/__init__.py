"""Jobs of the maintenance process: files in, files out, in slices.

run.py                 runs any job
specs.py               what a job is to do, and its result
drain.py               writes records of the log into deltas
  drained_entries.py   the entries of these records, merged
  cleared_tables.py    what range deletions leave of older tables
compact.py             merges some layers of a segment into one
  compaction_plan.py   which tables are carried, and which keys are rewritten
  merged_entries.py    the entries of several tables, merged
  part_sizes.py        how large the parts are
materialise.py         makes a segment from its parents' files
  clipped_record.py    the record of a table of which only some keys count
  links.py             second names for the files of tables
release.py             removes files that nothing needs
retire.py              removes segments that nothing refers to
orphans.py             clears files that no manifest names
output.py              writes tables that no manifest names yet
tasks.py               tasks of a job that do not depend on each other
figures.py             counts of what jobs read and wrote
"""
