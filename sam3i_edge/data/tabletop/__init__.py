"""Tabletop-Instruct: rendered scenes of everyday objects, with instructions made from what is true of them."""
