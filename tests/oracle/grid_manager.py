"""Tahoe-LAFS's `grid-manager`, with the arguments it is given."""

from allmydata.cli.grid_manager import grid_manager

grid_manager(prog_name="grid-manager")
