"""What only the course needs: nothing else in the package imports it.

environment.py    the setup cell, and how long a lesson may run
check/            what tells a learner whether an exercise is solved, and names the slip if not
predict.py        guesses before the answer, and how good they were; guesses.py, the kinds of question
grade.py          a class's notebooks as a table; attempt.py runs one answer, notebooks.py finds it
handout.py        notebooks without their solutions; gallery.py: their pictures on one page
benchmark.py      lesson 15's table; spherical_cnn.py: lesson 13's network
commands.py       the command line; doctor.py says what a machine has

It may import all rooms. It imports nothing here, so that the command line begins at once, without torch. Begin
reading with environment.py.
"""
