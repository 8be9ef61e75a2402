"""What a notebook shows: pictures, curves and films; a player for a run; viewers to look around with.

display.py  show, sheet, curves, table, film, say, finish
player/     play and compare: panels that play, pause, rewind and steer runs; explore: sliders for any function
viewer/     pages in which one looks around in a panorama or turns a textured mesh

It may import the core, and ``sphere`` and ``mesh`` for the viewers. Begin reading with display.py.
"""
