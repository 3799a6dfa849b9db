"""Chain of definitions: a task whose plans and executions can be checked, and a tiny model that
learns it from nothing on a CPU.
"""
