"""python -m shardstore: the command line."""

from shardstore.cli import main

if __name__ == "__main__":
    main(prog_name="shardstore")
