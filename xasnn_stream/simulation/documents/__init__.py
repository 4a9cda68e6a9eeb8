"""Documents and files as beamlines make them, of a sample whose μ(E) is known.

Written after descriptions of the formats, without anything that reads them: what is
made here and what is read elsewhere check each other.
"""
