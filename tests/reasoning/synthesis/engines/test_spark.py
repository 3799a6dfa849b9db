"""The SQL printed for Spark, run by Spark in local mode."""

import os
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("pyspark")
pytest.importorskip("sqlglot")
from benchmarks.dynamite_scenarios import SCENARIOS
from reasoning.synthesis.datalog import Program
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.engines import memory
from reasoning.synthesis.engines.compile import Output, compile_program
from reasoning.synthesis.facts import Id, flatten, to_facts
from reasoning.synthesis.schema import layout
from tests.reasoning.synthesis.engines.test_engines import SOURCE, TARGET, instances, rules

pytestmark = pytest.mark.slow
SPARK_TYPES = {
    "int": "BIGINT",
    "float": "DOUBLE",
    "str": "STRING",
    "bool": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "decimal": "DECIMAL(38,10)",
}


@pytest.fixture(scope="module")
def spark():
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.sql import SparkSession

    builder = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
    )
    session = builder.getOrCreate()
    yield session
    session.stop()


def fill(spark, schema, facts):
    """A view for every relation."""
    for path, columns in layout(schema).items():
        kinds = ", ".join(f"`{c.name}` {SPARK_TYPES.get(c.type, 'BIGINT')}" for c in columns)
        rows = [tuple(v.number if isinstance(v, Id) else v for v in fact) for fact in facts[path]]
        spark.createDataFrame(rows, kinds).createOrReplaceTempView(f"`{path}`")


def as_records(value):
    """Rows of Spark, nested ones too, as dictionaries."""
    if hasattr(value, "asDict"):
        return {name: as_records(inner) for name, inner in value.asDict().items()}
    return [as_records(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        "films doc-rel",
        "rentals rel-doc",
        "neurons graph-rel",
        "law rel-graph",
        "clubs graph-doc",
        "docks rel-rel",
    ],
)
def test_spark_gives_what_the_reference_gives(name, spark):
    scenario = next(one for one in SCENARIOS if one.name == name)
    facts = to_facts(scenario.source, data := scenario.generate(random.Random(6), 6))
    fill(spark, scenario.source, facts)
    queries = compile_program(
        scenario.golden, scenario.source, scenario.target, "spark", Output(str, str)
    )
    expected = memory.bags(scenario.golden, scenario.source, scenario.target, facts)
    for path, query in queries.items():
        assert Counter(tuple(row) for row in spark.sql(query).collect()) == expected[path], path
    nested = Mapping(scenario.source, scenario.target, scenario.golden).to_sql("spark")
    made = {name: as_records(spark.sql(query).collect()) for name, query in nested.items()}
    one, other = (
        flatten(scenario.target, to_facts(scenario.target, instance))
        for instance in (made, scenario.answer(data))
    )
    assert {path: set(rows) for path, rows in one.items()} == {
        path: set(rows) for path, rows in other.items()
    }


@pytest.mark.filterwarnings("ignore")
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(rules(), min_size=1, max_size=2), instances(), st.booleans())
def test_spark_agrees_on_the_number_of_equal_records(spark, found, facts, distinct):
    program = Program(tuple(replace(rule, distinct=distinct) for rule in found))
    doubled = facts | {"R": facts["R"] * 2}
    fill(spark, SOURCE, doubled)
    expected = memory.bags(program, SOURCE, TARGET, doubled)
    queries = compile_program(program, SOURCE, TARGET, "spark", Output(str, str))
    for path, query in queries.items():
        made = Counter(tuple(row) for row in spark.sql(query).collect())
        assert made == expected[path], query
