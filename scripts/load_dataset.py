"""Loads real files into a cluster, with a progress bar, and can be continued after Ctrl-C:

    python3 scripts/load_dataset.py pysource
    python3 scripts/load_dataset.py csv people.csv --key country,id --verify
    python3 scripts/load_dataset.py jsonl events.jsonl.gz --key event.id
    python3 scripts/load_dataset.py lines words.txt --key-is-line
    python3 scripts/load_dataset.py deb822 /var/lib/dpkg/status --key Package,Version,Architecture

The cluster is the one at --url or the one running on --data. If none is running, one is started there for the load.
"""

import bootstrap

if __name__ == "__main__":
    bootstrap.Environment().enter(groups=("scripts",))
    from datasets.command import main

    main()
