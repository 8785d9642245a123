"""Starts a cluster on this machine. `--demo` runs a demonstration; `--help` lists the options."""

import bootstrap

if __name__ == "__main__":
    bootstrap.Environment().enter(groups=("scripts",))
    from cluster_console import main

    main()
