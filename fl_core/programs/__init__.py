"""Ready-made programs, one a file; a program of your own is written the same way (fl_core/program.py says what it consists of)."""
