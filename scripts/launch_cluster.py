"""Command one of the README: start a cluster on this machine. `--demo` shows it at work; `--help` lists the options."""

import bootstrap

if __name__ == "__main__":
    bootstrap.Environment().enter(groups=("scripts",))
    from cluster_console import main

    main()
