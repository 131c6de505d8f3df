"""Datasets: the HMPL-Instruct layout, SA-Co files, and Tabletop-Instruct, a generated world of the same layout."""
