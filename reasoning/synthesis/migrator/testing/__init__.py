"""The databases on which candidates run: `database` executes statements, `inputs` invents
arguments, `mapped_databases` relates a database to its image under a correspondence.
"""
