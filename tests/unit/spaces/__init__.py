"""Tests of shardstore/spaces."""
