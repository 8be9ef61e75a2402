"""What a teacher needs beside the lessons: notebooks to hand out, a table of what came back, a page of pictures."""

from .gallery import gallery
from .grade import GRADES, Row, grade, grade_notebook
from .handout import handout

__all__ = ["GRADES", "Row", "gallery", "grade", "grade_notebook", "handout"]
