"""Requests and their answers: reads, writes, admission."""
