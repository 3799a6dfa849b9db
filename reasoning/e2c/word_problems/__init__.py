"""E2C on a small real language model, with word problems whose plans and executions can be checked.

`problems` draws them and carries plans out, `teacher` makes training data, `study` (START HERE)
trains, measures and reports: `python -m reasoning.e2c study --model smollm2`.
"""
