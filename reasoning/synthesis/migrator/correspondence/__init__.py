"""Correspondences, the new columns that hold an old column's values: `problem` states the search,
`search` and `maxsat` enumerate the likeliest answers, `mapping` and `join_trees` apply one.
"""

from reasoning.synthesis.migrator.old_names import names_of

__getattr__ = names_of(
    "correspondence",
    {
        "Correspondence": "correspondence.problem:Correspondence",
        "Problem": "correspondence.problem:Problem",
        "make_problem": "correspondence.problem:make_problem",
        "same_tables": "correspondence.problem:same_tables",
        "NOWHERE": "correspondence.problem:NOWHERE",
        "REFERRED": "correspondence.problem:REFERRED",
        "assignments": "correspondence.search:assignments",
        "correspondences": "correspondence.search:correspondences",
        "resolve": "correspondence.search:resolve",
        "with_copies": "correspondence.search:with_copies",
        "why_none": "correspondence.search:why_none",
    },
)
