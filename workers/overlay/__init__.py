"""All unpublished data of a range: the active layer over a queue of immutable runs."""
