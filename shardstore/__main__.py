"""python -m shardstore: the command line."""

from shardstore.cli.commands import main

if __name__ == "__main__":
    main(prog_name="shardstore")
