"""Long work of the maintenance process: files in, files out."""
