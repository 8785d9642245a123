"""What to change in the topology: plain values in, plans with a reason out."""
