"""What a teacher needs beside the lessons: notebooks to hand out, and a table of what came back."""

from .grade import GRADES, Row, grade, grade_notebook
from .handout import handout

__all__ = ["GRADES", "Row", "grade", "grade_notebook", "handout"]
